package bundle

// MarshalZIP writes a container of any files.
func MarshalZIP(names []string, contents [][]byte) []byte {
	var members []member
	for i, name := range names {
		members = append(members, member{name, contents[i]})
	}
	return marshalZIP(members)
}
