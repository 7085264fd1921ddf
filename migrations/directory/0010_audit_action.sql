-- The audit log is asked for one kind of act.
CREATE INDEX audit_log_by_action ON audit_log (action, id);
