package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/licence"
)

// Register answers what the register of licences (证照库) holds. Its methods
// return licence.ErrNotFound when it holds no such thing; any other error means
// that the question could not be asked, and never turns a report green.
type Register interface {
	// ByFileDigest returns the licence one of whose files, current or earlier, has
	// this SM3 digest, or the annotated copy that has it.
	ByFileDigest(ctx context.Context, digest [32]byte) (RegisterEntry, error)
	// ByIdentifier returns the licence with this identifier, in any status.
	ByIdentifier(ctx context.Context, id licence.Identifier) (RegisterEntry, error)
	// ByCopy returns an annotated copy: what is held of its licence, with the data, the
	// file and the times of the copy.
	ByCopy(ctx context.Context, id licence.CopyID) (RegisterEntry, error)
}

// RegisterEntry is what the register holds of one licence.
type RegisterEntry struct {
	// Identifier names the licence.
	Identifier licence.Identifier
	// Status is the stored status, as read at ReadAt (zero: at the validation time).
	Status licence.Status
	ReadAt time.Time
	// SupersededBy is the newest version of a licence with the status superseded; empty
	// where it is not known.
	SupersededBy licence.Identifier
	// DataDigest is SM3 of licence.json.
	DataDigest [32]byte
	// RangeDigest is SM3 of the bytes that the seal covers, the same in every
	// version of the file; zero when no file is registered.
	RangeDigest [32]byte
	// ProvenAt is the time of the log entry that permitted the seal. Because the log
	// is append-only, it stands for a timestamp where a file has none. Zero: there is none.
	ProvenAt time.Time
	// External is what was stated of a licence that another platform issued when it was
	// imported here; nil for our own.
	External *licence.Licence
	// Timestamped says that a version of the file with a timestamp token is registered.
	Timestamped bool
	// Copy is what an annotated copy says of itself; nil for a licence.
	Copy *licence.Copy
}

// lookUpFile asks the register for the whole file: an exact match is the
// strongest answer there is. f is what was read of it; nil when it was refused.
func (s *session) lookUpFile(ctx context.Context, file []byte, f *pdfsig.File) {
	if s.verifier.Register == nil {
		return
	}
	if f != nil {
		s.rangeDigests, s.fileDigest = f.Digests()
	} else {
		s.fileDigest = digest(file)
	}
	entry, err := s.verifier.Register.ByFileDigest(ctx, s.fileDigest)
	switch {
	case err == nil:
		s.entry, s.exact = &entry, true
	case !errors.Is(err, licence.ErrNotFound):
		s.registerFault = err
	}
}

// lookUpIdentifier asks the register for the licence that the data names, unless
// its file was found.
func (s *session) lookUpIdentifier(ctx context.Context) {
	id := s.identifier()
	if s.verifier.Register == nil || s.registerFault != nil || s.entry != nil || id == "" {
		return
	}
	entry, err := s.ask(ctx, id)
	switch {
	case err == nil:
		s.entry = &entry
	case !errors.Is(err, licence.ErrNotFound):
		s.registerFault = err
	}
}

// ask asks the register for the licence, or for the copy of it that is judged.
func (s *session) ask(ctx context.Context, id licence.Identifier) (RegisterEntry, error) {
	if !s.isCopy() {
		return s.verifier.Register.ByIdentifier(ctx, id)
	}
	entry, err := s.verifier.Register.ByCopy(ctx, s.copyID())
	if errors.Is(err, licence.ErrNotFound) {
		_, fault := s.verifier.Register.ByIdentifier(ctx, id)
		s.licenceKnown = fault == nil
	}
	return entry, err
}

// identifier is what the data claims to be; empty when it could not be read.
func (s *session) identifier() licence.Identifier {
	switch {
	case s.licence != nil:
		return s.licence.Identifier
	case s.qr != nil:
		return s.qr.Payload.Identifier
	}
	return ""
}

// withoutEntry settles the register check when there is nothing to compare with.
func (s *session) withoutEntry() bool {
	switch {
	case s.verifier.Register == nil:
		s.set(CheckRegister, "register_absent", "no register was asked")
	case s.registerFault != nil:
		s.set(CheckRegister, "register_unavailable", "the register did not answer")
	case s.entry == nil && s.copyUnregistered():
		s.set(CheckRegister, "copy_not_registered", "the licence "+string(s.identifier())+", but no copy "+string(s.copyID()))
	case s.entry == nil:
		s.set(CheckRegister, "not_registered", "neither this file nor its identifier: "+cmp.Or(string(s.identifier()), "none was read"))
	default:
		return false
	}
	return true
}

// checkRegister compares a file with the register.
func (s *session) checkRegister(ctx context.Context) {
	s.lookUpIdentifier(ctx)
	if s.withoutEntry() {
		return
	}
	e := s.entry
	evidence := fmt.Sprintf("register: data %x, byte range %x; file: data %x, byte range %x",
		e.DataDigest, e.RangeDigest, s.dataDigest, s.rangeDigest)
	switch {
	case e.External != nil && s.exact && (s.external || !s.isCopy() && e.Identifier == s.identifier()):
		s.set(CheckRegister, "registered_external", fmt.Sprintf("imported %s as %s, issued by %s", instant(e.ProvenAt), e.Identifier, e.External.Authority.Code))
		return
	case e.External != nil:
		s.set(CheckRegister, "register_external_differs", evidence)
		return
	case e.DataDigest != s.dataDigest || e.Identifier != s.identifier():
		s.set(CheckRegister, "register_data_differs", evidence)
	case s.exact:
		s.set(CheckRegister, "registered", evidence)
	case e.RangeDigest != s.rangeDigest || len(s.signature.Timestamp) > 0:
		s.set(CheckRegister, "register_file_differs", evidence)
	default:
		s.set(CheckRegister, "registered_other_version", evidence)
	}
	s.explainMissingToken()
}

// explainMissingToken says why a registered file has no token: it was not there
// yet, or it was cut out.
func (s *session) explainMissingToken() {
	if s.checks[CheckTimestamp].Code != "timestamp_absent" {
		return
	}
	switch evidence := "register: log entry of " + instant(s.entry.ProvenAt); {
	case s.exact && s.entry.Timestamped:
		s.set(CheckTimestamp, "timestamp_available", evidence)
	case s.exact:
		s.set(CheckTimestamp, "timestamp_pending", evidence)
	case s.entry.RangeDigest == s.rangeDigest:
		s.set(CheckTimestamp, "timestamp_stripped", "no token; the register knows the byte range but not the file")
	}
}

// registeredQR reports whether the register holds the data that the QR code binds.
func (s *session) registeredQR() bool {
	return s.file == nil && s.entry != nil && s.qr != nil && s.entry.DataDigest == s.qr.Payload.DataDigest
}

// checkRegisteredQR compares a QR payload with the register.
func (s *session) checkRegisteredQR() {
	if s.withoutEntry() {
		return
	}
	evidence := fmt.Sprintf("register: data %x; QR code: data %x", s.entry.DataDigest, s.qr.Payload.DataDigest)
	if s.entry.External != nil {
		s.set(CheckRegister, "register_external_differs", evidence)
		return
	}
	if !s.registeredQR() {
		s.set(CheckRegister, "register_data_differs", evidence)
		return
	}
	s.set(CheckRegister, "registered", evidence)
}
