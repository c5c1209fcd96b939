package licence

import (
	"encoding/hex"
	"regexp"
	"time"
)

// CopyID names an annotated copy: 128 random bits, 32 lower-case hexadecimal digits.
type CopyID string

var copyIDForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// ParseCopyID reads the name of a copy; ErrNotFound for what is none.
func ParseCopyID(text string) (CopyID, error) {
	if !copyIDForm.MatchString(text) {
		return "", ErrNotFound
	}
	return CopyID(text), nil
}

// bytes are those of an identifier that was checked.
func (id CopyID) bytes() []byte {
	b, _ := hex.DecodeString(string(id))
	return b
}

func copyIDOf(b []byte) CopyID { return CopyID(hex.EncodeToString(b)) }

// check looks at what a copy needs wherever it is named.
func (id CopyID) check(f *faults, expires Date) {
	if !copyIDForm.MatchString(string(id)) {
		f.add("copy identifier", CodeBadFormat, "is not 32 lower-case hexadecimal digits")
	}
	if expires.IsZero() {
		f.add("copy last day", CodeMissing, "is required")
	}
}

// Party is a body that makes or receives a copy.
type Party struct {
	Name string
	Code string // unified social credit code
}

// Copy is what makes an annotated copy (加注件) of a licence: for whom, for what and until
// when it was made. A copy is a file of its own, sealed by its maker and not by the issuing
// authority.
type Copy struct {
	// ID names it; it stands in its QR code.
	ID CopyID
	// CreatedAt is when it was made (制作时间), to the second.
	CreatedAt time.Time
	// Maker made and sealed it (制作者), Receiver is the department it was made for.
	Maker, Receiver Party
	// Cause is what it was made for (制作事由), as the receiver stated it.
	Cause string
	// CaseNumber is the receiver's case.
	CaseNumber string
	// ExpiresOn is its last day (有效期截止时间), in Asia/Shanghai.
	ExpiresOn Date
}

// The metadata elements of a copy: four of GB/T 36903, and additions of ours.
const (
	copyTimeMember         = "certificateCopyCreationTime"
	copyMakerMember        = "certificateCopyCreator"
	copyCauseMember        = "certificateCopyCause"
	copyExpiryMember       = "certificateCopyExpiringTime"
	copyMakerCodeMember    = "certificateCopyCreatorCode"
	copyIDMember           = "certificateCopyIdentifier"
	copyReceiverMember     = "certificateCopyReceiverName"
	copyReceiverCodeMember = "certificateCopyReceiverCode"
	copyCaseMember         = "certificateCopyCaseNumber"
)

// copyTimeForm is RFC 3339 at the offset of Asia/Shanghai; lastSecond ends a last day in it.
const (
	copyTimeForm = "2006-01-02T15:04:05+08:00"
	lastSecond   = "T23:59:59+08:00"
)

// maxCauseBytes and maxCaseBytes are what the access log holds of a purpose and a case number.
const maxCauseBytes, maxCaseBytes = 512, 128

// describe adds the elements of a copy, which may be nil, to a licence's.
func (c *Copy) describe(metadata map[string]any) {
	if c == nil {
		return
	}
	for name, value := range map[string]string{
		copyTimeMember: Local(c.CreatedAt).Format(copyTimeForm), copyExpiryMember: c.ExpiresOn.String() + lastSecond,
		copyMakerMember: c.Maker.Name, copyMakerCodeMember: c.Maker.Code, copyCauseMember: c.Cause, copyIDMember: string(c.ID),
		copyReceiverMember: c.Receiver.Name, copyReceiverCodeMember: c.Receiver.Code, copyCaseMember: c.CaseNumber,
	} {
		metadata[name] = value
	}
}

// CopyElement is one of the four elements of GB/T 36903 that a copy alone has.
type CopyElement struct{ Pinyin, Value string }

// Elements are those of the standard, in its order; none of a nil copy.
func (c *Copy) Elements() (all []CopyElement) {
	metadata := map[string]any{}
	c.describe(metadata)
	for _, name := range []string{copyTimeMember, copyMakerMember, copyCauseMember, copyExpiryMember} {
		if value, ok := metadata[name].(string); ok {
			all = append(all, CopyElement{pinyinNames[name], value})
		}
	}
	return all
}

// copyOf reads the elements of a copy, in the way of licenceOf; nil where there is none of them.
func copyOf(metadata map[string]any) *Copy {
	text := func(name string) string { s, _ := metadata[name].(string); return s }
	c := &Copy{
		ID: CopyID(text(copyIDMember)), Maker: Party{text(copyMakerMember), text(copyMakerCodeMember)},
		Receiver: Party{text(copyReceiverMember), text(copyReceiverCodeMember)}, Cause: text(copyCauseMember), CaseNumber: text(copyCaseMember),
	}
	c.CreatedAt, _ = time.Parse(time.RFC3339, text(copyTimeMember))
	c.CreatedAt = c.CreatedAt.UTC()
	if expires := text(copyExpiryMember); len(expires) > len(lastSecond) {
		c.ExpiresOn, _ = ParseDate(expires[:len(expires)-len(lastSecond)])
	}
	if *c == (Copy{CreatedAt: time.Time{}.UTC()}) {
		return nil
	}
	return c
}

// check looks at a copy's own elements.
func (c *Copy) check(f *faults) {
	c.ID.check(f, c.ExpiresOn)
	for _, p := range []struct {
		name string
		Party
	}{{"copy maker", c.Maker}, {"copy receiver", c.Receiver}} {
		f.text(p.name, p.Name, maxNameRunes)
		if err := CheckUSCC(p.Code); err != nil {
			f.add(p.name, CodeBadHolderCode, "has a wrong code: %v", err)
		}
	}
	f.text("copy cause", c.Cause, maxCauseBytes)
	f.text("copy case number", c.CaseNumber, maxCaseBytes)
	switch {
	case c.CreatedAt.IsZero() || !c.CreatedAt.Equal(c.CreatedAt.Truncate(time.Second)):
		f.add("copy creation time", CodeBadFormat, "is not a whole second")
	case !c.ExpiresOn.IsZero() && DateOf(c.CreatedAt).Compare(c.ExpiresOn) > 0:
		f.add("copy last day", CodeDateOrder, "is before the day it was made")
	}
}

// ExpiredAt reports whether the copy's last day is over.
func (c *Copy) ExpiredAt(t time.Time) bool { return !t.Before(c.ExpiresOn.EndsAt()) }
