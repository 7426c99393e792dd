"""From a source to cleaned quotes, with a report of what was left out."""
