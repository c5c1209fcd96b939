package verify

import (
	"bytes"
	"fmt"

	"elicence/licence"
)

// attachedPortrait is the file attached to a licence whose data name a portrait.
const attachedPortrait = "portrait.jpg"

// portraitFault compares three: the portrait that the licence data name, the one that is
// attached and the one that the pages show. Its code is empty when they are one, or there
// is none.
func (s *session) portraitFault() (code, evidence string) {
	attached, drawn := s.file.Attachments[attachedPortrait], s.file.Portrait
	names := licence.PortraitReferences(s.licence.Fields)
	evidence = fmt.Sprintf("%d portraits named, %d bytes of %s, %d bytes drawn", len(names), len(attached), attachedPortrait, len(drawn))
	switch {
	case len(names) == 0 && attached == nil && drawn == nil:
		return "", ""
	case len(names) > 1 || len(names) == 0:
		return "portrait_unnamed", evidence
	case attached == nil || drawn == nil:
		return "portrait_missing", evidence
	}
	named, _ := s.licence.Fields[names[0]].(string)
	if got := licence.PortraitReference(attached); got != named {
		return "portrait_differs", fmt.Sprintf("%s is %s; the data name %s", attachedPortrait, got, named)
	}
	if !bytes.Equal(attached, drawn) {
		return "portrait_drawn_differs", fmt.Sprintf("the pages show %s; %s is %s", licence.PortraitReference(drawn), attachedPortrait, named)
	}
	return "", ""
}
