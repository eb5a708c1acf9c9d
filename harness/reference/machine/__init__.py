"""The computer: processor, memory, images, threads and time. It knows no Windows."""
