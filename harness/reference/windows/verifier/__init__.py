"""What the kernel found wrong: findings, bug checks, hangs."""
