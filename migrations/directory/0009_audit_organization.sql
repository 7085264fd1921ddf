-- Whose act it was: the organization that its admins may read the line of;
-- empty where it concerns none, or several.
ALTER TABLE audit_log ADD COLUMN organization_id TEXT NOT NULL DEFAULT '';

CREATE INDEX audit_log_by_organization ON audit_log (organization_id, id);
