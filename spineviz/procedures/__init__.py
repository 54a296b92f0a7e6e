"""From a case to a plan, and from the plan to the state of any moment; no pixel, no second of film."""
