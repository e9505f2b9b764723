"""What makes Genesis's gradients right where they are withheld or wrong, one fault a file."""
