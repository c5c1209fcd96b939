package api

import (
	"mime"
	"net/http"

	"elicence/licence"
	"elicence/licence/registry"
)

// document issues a licence on a document: a form of the request, in JSON, and the file.
// Sender and body are bounded as those of verifications with a token are.
func (x *exchange) document() {
	if err := x.authenticate(); err != nil {
		x.refuse(err)
		return
	}
	room, sender := x.room()
	body := &lodger{ReadCloser: x.r.Body, room: room}
	x.r.Body = body
	defer func() { room.free(body.size) }()
	q, err := x.documentRequest(room, sender)
	if err != nil {
		x.refuse(err)
		return
	}
	issued, receipt, err := x.issue(q)
	if x.settle(receipt, err) {
		x.json(http.StatusCreated, issued)
	}
}

// documentRequest reads the form.
func (x *exchange) documentRequest(r *room, sender string) (q registry.IssueRequest, err error) {
	if !r.enter(sender) {
		return q, errCrowd
	}
	defer r.leave(sender)
	if mediaType, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type")); err != nil || mediaType != "multipart/form-data" {
		return q, errMediaType("multipart/form-data")
	}
	parts, err := x.form(map[string]int64{"request": licence.MaxJSON, "file": MaxFile})
	if err != nil {
		return q, err
	}
	if parts["request"] == nil || parts["file"] == nil {
		return q, errBadUpload
	}
	return registry.IssueRequest{Body: parts["request"], File: parts["file"]}, nil
}
