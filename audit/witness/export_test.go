package witness

// Hooks for the tests of package witness_test.

// Remarshal parses the body of add-checkpoint and marshals it again.
func Remarshal(b []byte) ([]byte, error) {
	q, err := parseRequest(b)
	if err != nil {
		if q.old != 0 || q.proof != nil || q.signed != nil {
			panic("not zero on error")
		}
		return nil, err
	}
	return q.marshal(), nil
}
