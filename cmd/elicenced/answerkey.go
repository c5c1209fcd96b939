package main

import (
	"errors"
	"fmt"
	"io/fs"

	"elicence/api"
)

// answerKey is the name of the key that signs what departments are answered.
const answerKey = "answer"

const answerSubject = "市电子证照库 答复签名"

// firstSubjects are the names in the certificates of keys that an older instance has none
// of, and is given by keys rotate.
var firstSubjects = map[string]string{eventKey: eventSubject, answerKey: answerSubject}

// answerSigner opens it. An instance that is older than such keys has none until it is
// given one: nothing is answered without a signature meanwhile.
func (k keyring) answerSigner() (s api.AnswerSigner, err error) {
	s.Certificate, s.Key, err = k.pair(answerKey)
	if errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("the key that signs answers is not there: make it once, with elicenced keys rotate %s: %w", answerKey, err)
	}
	return s, err
}
