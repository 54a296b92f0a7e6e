"""Tables of sourced figures: what they hold and how they refuse."""

import pytest

from spineviz.data.errors import RequestError
from spineviz.data.sourced import Sourced, sourced_table
from spineviz.data.tables import LEVELS, known_level, level_below, morphometry

HEADER = "name,value,unit,citation,mark\n"


def test_a_row_becomes_one_sourced_figure(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("# a remark\n" + HEADER + 'gap_mm,1.5,mm,"A 1999, B 3:4",memory\n')
    assert sourced_table(path) == {"gap_mm": Sourced(1.5, "mm", "A 1999, B 3:4", "memory")}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (HEADER + "a,x,mm,c,m\n", "row a"),
        (HEADER + "a,1,mm,,m\n", "row a"),
        (HEADER + "a,1,mm,c,m\na,2,mm,c,m\n", "row a"),
        ("name,value,unit,citation\na,1,mm,c\n", "mark"),
    ],
)
def test_a_bad_table_is_refused_by_name(tmp_path, body, named):
    path = tmp_path / "t.csv"
    path.write_text(body)
    with pytest.raises(ValueError, match=named):
        sourced_table(path)


def test_every_cell_of_the_table_has_value_unit_citation_and_mark():
    table = morphometry()
    assert tuple(table) == LEVELS
    for row in table.values():
        for cell in row.values():
            assert cell.value == cell.value
            assert cell.unit in ("mm", "deg", "mL")
            assert cell.citation
            assert cell.mark


def test_known_cells_are_as_published():
    table = morphometry()
    assert table["L3"]["PDW_zindrick_mm"] == Sourced(
        10.3, "mm", "Zindrick 1987, Spine 12:160", "transcribed(Panjabi,Zindrick,Lien)"
    )
    assert table["T12"]["pedicle_transverse_medial_deg"].value == -4
    assert "VBHp_ct_meta_mm" not in table["T1"]


def test_a_cell_that_is_no_number_is_named(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("level,EPWu_mm\nT1,wide\n")
    with pytest.raises(ValueError, match="T1: EPWu_mm"):
        morphometry(path)


@pytest.mark.parametrize("name", ["L6", "", "l1", "C7"])
def test_an_unknown_level_is_a_wrong_request(name):
    with pytest.raises(RequestError, match=r"spine\.level"):
        known_level(name)


def test_levels_follow_each_other():
    assert level_below("T12") == "L1"
    assert level_below("L5") is None
