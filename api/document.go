package api

import (
	"mime"
	"net/http"

	"elicence/licence"
	"elicence/licence/registry"
)

// document issues a licence on a document: a form of the request, in JSON, and the file.
func (x *exchange) document() {
	x.sent(func(request, file []byte) {
		if file == nil {
			x.refuse(errBadUpload)
			return
		}
		issued, receipt, err := x.issue(registry.IssueRequest{Body: request, File: file})
		if x.settle(receipt, err) {
			x.json(http.StatusCreated, issued)
		}
	})
}

// sent hands on what a form holds: the part "request", which is JSON, and the part "file",
// nil when there is none. Sender and body are bounded as those of verifications with a
// token are.
func (x *exchange) sent(do func(request, file []byte)) {
	if err := x.authenticate(); err != nil {
		x.refuse(err)
		return
	}
	room, sender := x.room()
	body := &lodger{ReadCloser: x.r.Body, room: room}
	x.r.Body = body
	defer func() { room.free(body.size) }()
	parts, err := x.requestForm(room, sender)
	if err != nil {
		x.refuse(err)
		return
	}
	do(parts["request"], parts["file"])
}

// requestForm reads the form.
func (x *exchange) requestForm(r *room, sender string) (map[string][]byte, error) {
	if !r.enter(sender) {
		return nil, errCrowd
	}
	defer r.leave(sender)
	if mediaType, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type")); err != nil || mediaType != "multipart/form-data" {
		return nil, errMediaType("multipart/form-data")
	}
	parts, err := x.form(map[string]int64{"request": licence.MaxJSON, "file": MaxFile})
	if err == nil && parts["request"] == nil {
		err = errBadUpload
	}
	return parts, err
}
