"""Networks: who takes part with whom, who answers whom, and whether it is more than chance."""
