package registry

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/licence"
	"elicence/licence/render"

	"github.com/emmansun/gmsm/sm3"
)

// Removed are names joined by spaces, so that answers can be compared; in JSON they are a
// list.
type Removed string

// MarshalJSON writes the list.
func (r Removed) MarshalJSON() ([]byte, error) { return json.Marshal(strings.Fields(string(r))) }

// UnmarshalJSON reads the list.
func (r *Removed) UnmarshalJSON(b []byte) error {
	var names []string
	err := json.Unmarshal(b, &names)
	*r = Removed(strings.Join(names, " "))
	return err
}

// errDocumentMissing refuses a request for a type that is drawn on a document, where none came.
var errDocumentMissing = &licence.RequestError{Fields: []licence.FieldError{{Field: "file", Code: licence.CodeMissing,
	Detail: "is required: licences of this type are drawn on a document, which is sent with the request"}}}

// errDocumentUnasked refuses a document for a type that is drawn by a layout alone.
var errDocumentUnasked = &licence.RequestError{Fields: []licence.FieldError{{Field: "file", Code: licence.CodeNotAllowed,
	Detail: "is not for this type, whose licences are drawn by a layout alone"}}}

// takeDocument takes the document of a request apart, before anything is reserved. What
// it found wrong with it is a *licence.RequestError about the field "file".
func (r *Registry) takeDocument(ctx context.Context, file []byte, a *asked) error {
	item := a.by.item
	switch {
	case !item.Document && file == nil:
		return nil
	case !item.Document:
		return errDocumentUnasked
	case file == nil || r.cfg.Rewrite == nil:
		return errDocumentMissing
	}
	var err error
	if a.document, err = r.cfg.Rewrite(ctx, file); err != nil {
		return err
	}
	if a.kept, err = json.Marshal(a.document); err != nil {
		return err
	}
	received, kept := sm3.Sum(file), sm3.Sum(a.kept)
	a.Document.Received, a.Document.Kept = hex.EncodeToString(received[:]), hex.EncodeToString(kept[:])
	return nil
}

// on is the layout of a request, put on its document where there is one.
func (e *edition) on(d *render.Document, at *licence.Document) (*render.Layout, error) {
	if d == nil {
		return e.layout, nil
	}
	return e.layout.On(d, at)
}

// keep stores what a reserved licence will be made of. A crash between this and the
// reservation leaves a file that nothing refers to.
func (r *Registry) keep(ctx context.Context, a *asked) error {
	if a.document == nil {
		return nil
	}
	digest := sm3.Sum(a.kept)
	if hex.EncodeToString(digest[:]) != a.Document.Kept {
		return errors.New("the document is not the one that was to be kept")
	}
	return r.cfg.Files.Put(ctx, digest, a.kept)
}

// kept fetches the document of a reserved licence; nil when it has none.
func (r *Registry) kept(ctx context.Context, l *licence.Licence) (*render.Document, error) {
	if l.Document == nil {
		return nil, nil
	}
	var digest [32]byte
	if _, err := hex.Decode(digest[:], []byte(l.Document.Kept)); err != nil {
		return nil, err
	}
	file, err := r.cfg.Files.Get(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("fetching the document: %w", err)
	}
	return render.ParseDocument(file)
}

// checkDocument proves that a file of the document can be sealed and read again, before a
// number is used: nothing of what others wrote was seen by the strict reader before.
func (r *Registry) checkDocument(a *asked, widest *licence.Licence, payload licence.QRPayload, own *SealKey) error {
	if a.document == nil {
		return nil
	}
	size := own.size()
	if err := a.layout.CheckSeals(size); err != nil {
		return licence.InvalidField("document.seal", licence.CodeOutOfRange, err.Error())
	}
	message, err := payload.Message([8]byte{}, [64]byte{})
	if err != nil {
		return err
	}
	text, err := licence.NewQRText(r.cfg.PublicURL, message)
	if err != nil {
		return err
	}
	out, err := a.layout.Render(r.cfg.Fonts, render.Input{Licence: widest, QR: text, CreatedAt: r.now(),
		Attachments: []render.Attachment{{Name: "licence.json"}}})
	if err != nil {
		return err
	}
	x, y := out.Seal.Centred(size[0], size[1])
	_, err = pdfsig.Prepare(out.PDF, pdfsig.Options{FieldName: "seal", Page: out.Seal.Page, X: x, Y: y, Appearance: own.Appearance,
		SignerName: widest.Authority.Name, Reason: sealReason, ClaimedTime: time.Unix(0, 0), Reserve: pdfsig.MaxContents})
	if refused := (*pdfsig.FormatError)(nil); errors.As(err, &refused) {
		return licence.InvalidField("file", "unsupported", "cannot be made a licence file: "+refused.Error())
	}
	return err
}
