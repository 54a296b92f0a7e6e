"""Instruments at catalogue sizes, and the operating room round the patient."""
