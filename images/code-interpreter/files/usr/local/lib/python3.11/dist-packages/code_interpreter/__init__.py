"""What answers on port 49999 of a sandbox: cells of code in, their output and results out."""
