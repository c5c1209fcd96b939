package verify

// Reason is the meaning of a code, and whether it has one.
func Reason(code string) (result Result, sub SubIndication, zh, en string, known bool) {
	r, known := lookUp(code)
	return r.result, r.sub, r.zh, r.en, known
}

// AsOfReason is Reason of a code after "as_of_".
func AsOfReason(code string) (result Result, zh, en string) {
	r := asOfReason(code)
	return r.result, r.zh, r.en
}
