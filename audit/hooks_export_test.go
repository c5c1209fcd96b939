package audit

// Hooks for the tests of package audit_test.

// CheckpointText is the text that is signed for c.
func CheckpointText(c Checkpoint) string { return c.text() }

// ParseOpening parses an opening without a record that commits to it.
func ParseOpening(b []byte) (salt []byte, personal map[string]string, err error) {
	o, err := parseOpening(b)
	return o.Salt, o.Personal, err
}
