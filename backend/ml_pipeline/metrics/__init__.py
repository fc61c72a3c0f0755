"""What is counted and measured in every process of a server, and how it is told. Knows no Django."""
