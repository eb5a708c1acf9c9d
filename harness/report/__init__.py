"""What is kept of a run: the journal, run.json, JUnit, the HTML page and the tables at the end."""
