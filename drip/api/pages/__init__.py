"""Pages for people: plain HTML that needs no JavaScript and loads nothing."""
