package api

import (
	"errors"
	"io"
	"mime"
	"net/http"

	"elicence/licence"
	"elicence/verify"
)

// input reads the body of a verification, in any of its three forms.
func (x *exchange) input() (verify.Input, error) {
	mediaType, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	switch {
	case err != nil: // falls to the end
	case mediaType == "application/json":
		body, err := x.read(mediaType, licence.MaxJSON)
		if err != nil {
			return verify.Input{}, err
		}
		return parseJSON(body, func(r *reader) verify.Input {
			return verify.Input{QR: r.required("qr", maxText), AsOf: r.pastDay("as_of", licence.DateOf(x.now()))}
		})
	case mediaType == "application/pdf" || mediaType == "application/ofd":
		body, err := x.read(mediaType, MaxFile)
		return verify.Input{File: body}, err
	case mediaType == "multipart/form-data":
		return x.upload()
	}
	return verify.Input{}, errMediaType("application/pdf", "application/ofd", "application/json", "multipart/form-data")
}

// maxMultipart is what the framing of an upload, and its texts, may take beside the file.
const maxMultipart = 16 << 10

// upload reads a form: a file, the text of a QR code, or both, and a day. A browser
// sends what was left empty too; it counts as left out.
func (x *exchange) upload() (in verify.Input, err error) {
	parts, err := x.form(map[string]int64{"file": MaxFile, "qr": maxText, "as_of": maxText})
	if err != nil {
		return in, err
	}
	in.File = parts["file"]
	delete(parts, "file")
	texts := map[string]any{}
	for name, text := range parts {
		texts[name] = string(text)
	}
	return x.uploaded(in, texts)
}

// form reads a form, each of whose parts is one of those named in limits, comes once and
// has at most so many bytes. A file that was not chosen counts as left out.
func (x *exchange) form(limits map[string]int64) (map[string][]byte, error) {
	most := int64(maxMultipart)
	for _, limit := range limits {
		most += limit
	}
	if x.r.ContentLength > most {
		return nil, errTooLarge
	}
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, most)
	form, err := x.r.MultipartReader()
	if err != nil {
		return nil, errBadUpload
	}
	parts := map[string][]byte{}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, bodyFault(err, errBadUpload)
		}
		name := part.FormName()
		limit, known := limits[name]
		if _, twice := parts[name]; twice || !known {
			return nil, errBadUpload
		}
		if parts[name], err = readAll(http.MaxBytesReader(nil, part, limit), min(x.r.ContentLength, limit)); err != nil {
			return nil, err
		}
		if name == "file" && len(parts[name]) == 0 && part.FileName() == "" {
			parts[name] = nil // none was chosen
		}
	}
	if err := x.drained(); err != nil {
		return nil, err
	}
	return parts, nil
}

// uploaded checks the texts of a form as if they were members of a JSON body.
func (x *exchange) uploaded(in verify.Input, texts map[string]any) (verify.Input, error) {
	for name, text := range texts {
		if text == "" {
			delete(texts, name)
		}
	}
	rest, err := parseMembers(texts, func(r *reader) verify.Input {
		return verify.Input{QR: r.text("qr", maxText), AsOf: r.pastDay("as_of", licence.DateOf(x.now()))}
	})
	if err != nil {
		return verify.Input{}, err
	}
	if in.QR, in.AsOf = rest.QR, rest.AsOf; in.File == nil && in.QR == "" {
		return verify.Input{}, errBadUpload
	}
	return in, nil
}

// firstYear is the first that a day asked for may lie in.
const firstYear = 1900

// pastDay takes a day that has begun; zero when absent.
func (r *reader) pastDay(name string, today licence.Date) licence.Date {
	text := r.text(name, maxText)
	if text == "" {
		return licence.Date{}
	}
	day, err := licence.ParseDate(text)
	switch {
	case err != nil:
		r.fault(name, licence.CodeBadFormat, "is not a day YYYY-MM-DD")
	case day.Compare(today) > 0 || day.Year() < firstYear:
		r.fault(name, licence.CodeOutOfRange, "is not between the years %d and today", firstYear)
	}
	return day
}
