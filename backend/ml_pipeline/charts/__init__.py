"""What reports for people are made of, whatever they tell of: figures in words, drawings, and the frame of a page."""
