-- Says that this revision changes answers. Parameters: $1 the revision.
UPDATE revision SET shown = $1 WHERE id = 1;
