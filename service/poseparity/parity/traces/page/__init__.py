"""The comparison as a page of HTML."""
