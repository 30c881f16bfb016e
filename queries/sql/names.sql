-- Which texts do these ids stand for?
SELECT id, text FROM name WHERE list_contains([$ids], id)
