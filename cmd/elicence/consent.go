package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/url"
	"strings"
	"time"

	"elicence/licence"
	"elicence/licence/consent"
	"elicence/licence/render/qr"
)

// consentCommands are "elicence consent …", for the program of a holder.
type consentCommands struct {
	Make   consentMakeCommand   `cmd:"" help:"Agree that fields of own licences are used, or shown. 授权用证或亮证。"`
	List   consentListCommand   `cmd:"" help:"List the consents that stand. 列出有效的授权。"`
	Show   consentShowCommand   `cmd:"" help:"Show the QR symbol of a consent, a new one each minute. 出示授权码。"`
	Revoke consentRevokeCommand `cmd:"" help:"Take a consent back. 撤回授权。"`
}

// maxConsents bounds an answer about consents, in bytes.
const maxConsents = 4 << 20

// madeConsent is what is printed of a consent.
type madeConsent struct {
	ID       string         `json:"id"`
	Kind     consent.Kind   `json:"kind"`
	Purpose  string         `json:"purpose"`
	Receiver string         `json:"receiver"`
	Uses     int            `json:"uses"`
	Used     int            `json:"used"`
	Status   consent.Status `json:"status"`
	EndsAt   time.Time      `json:"ends_at"`
}

// change asks for a change of consents, each time by another key, and reads the answer.
func (o onService) change(path string, request, answer any) (raw []byte, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	raw, err = o.service().post(path, body, maxConsents, "Content-Type", "application/json", "Idempotency-Key", "consent-"+rand.Text())
	if err == nil && json.Unmarshal(raw, answer) != nil {
		err = unavailableError(errors.New("what the server sent is no answer about a consent"))
	}
	return raw, err
}

// consentMakeCommand is "elicence consent make".
type consentMakeCommand struct {
	onService
	Kind     string   `enum:"reuse,presentation" required:"" help:"reuse (用证码): a department reads them for its business; presentation (亮证): whoever scans the code looks at them."`
	Licence  []string `required:"" sep:"none" placeholder:"IDENTIFIER" help:"Own licence. Repeatable. 电子证照标识，可多次。"`
	Field    []string `required:"" sep:"none" placeholder:"NAME" help:"Field, as number or fields.premises. Repeatable. 字段，可多次。"`
	Purpose  string   `required:"" placeholder:"TEXT" help:"What it is agreed to for. 用途。"`
	Receiver string   `placeholder:"USCC" help:"The department that may use it (default: any). 用证部门。"`
	Uses     int      `default:"1" help:"How many times, 1 to 100. 次数。"`
	Minutes  int      `default:"10" help:"For how long, a week at most. 分钟。"`
	JSON     bool     `name:"json" help:"Print the answer as it came. 输出 JSON。"`
}

// Run makes a consent. Whoever gets no answer looks at the list before the next attempt.
func (c *consentMakeCommand) Run(t terminal) error {
	var made madeConsent
	raw, err := c.change("/consents", map[string]any{"kind": c.Kind, "licences": c.Licence, "fields": c.Field, "purpose": c.Purpose,
		"receiver": c.Receiver, "uses": c.Uses, "minutes": c.Minutes}, &made)
	if err != nil {
		return err
	}
	if c.JSON {
		_, err = fmt.Fprintf(t.out, "%s\n", bytes.TrimSpace(raw))
		return err
	}
	_, err = fmt.Fprintf(t.out, "%s\n已授权，可用%d次，至%s。agreed to, %d times, until then; show it with: elicence consent show %[1]s\n", visible(made.ID), made.Uses, made.EndsAt.Local().Format(time.DateTime), made.Uses)
	return err
}

// consentListCommand is "elicence consent list".
type consentListCommand struct {
	onService
	All  bool `help:"Those that do not stand any more too. 包括已失效的。"`
	JSON bool `name:"json" help:"Print one object a line, as it came. 输出 JSON。"`
}

// Run prints consents, the newest first.
func (c *consentListCommand) Run(t terminal) error {
	query := url.Values{"standing": {fmt.Sprint(!c.All)}}
	for {
		raw, err := c.service().get("/consents?"+query.Encode(), maxConsents)
		if err != nil {
			return err
		}
		var page struct {
			Consents   []json.RawMessage `json:"consents"`
			NextCursor string            `json:"next_cursor"`
		}
		if json.Unmarshal(raw, &page) != nil {
			return unavailableError(errors.New("what the server sent is no list of consents"))
		}
		for _, raw := range page.Consents {
			if err := c.print(t, raw); err != nil {
				return err
			}
		}
		if page.NextCursor == "" || page.NextCursor == query.Get("cursor") {
			return nil
		}
		query.Set("cursor", page.NextCursor)
	}
}

func (c *consentListCommand) print(t terminal, raw json.RawMessage) error {
	if c.JSON {
		_, err := fmt.Fprintf(t.out, "%s\n", raw)
		return err
	}
	var k madeConsent
	if json.Unmarshal(raw, &k) != nil {
		return unavailableError(errors.New("what the server sent is no consent"))
	}
	_, err := fmt.Fprintln(t.out, strings.Join([]string{visible(k.ID), visible(string(k.Kind)), visible(string(k.Status)), fmt.Sprintf("%d/%d", k.Used, k.Uses),
		k.EndsAt.Local().Format(time.DateTime), visible(k.Receiver), visible(k.Purpose)}, "\t"))
	return err
}

// consentRevokeCommand is "elicence consent revoke".
type consentRevokeCommand struct {
	onService
	ID string `arg:"" help:"Identifier of the consent. 授权编号。"`
}

// Run takes a consent back: no code of it opens anything from then on.
func (c *consentRevokeCommand) Run(t terminal) error {
	var k madeConsent
	if _, err := c.change("/consents/"+url.PathEscape(c.ID)+"/revoke", struct{}{}, &k); err != nil {
		return err
	}
	_, err := fmt.Fprintf(t.out, "已撤回 revoked: %s\n", visible(k.ID))
	return err
}

// consentShowCommand is "elicence consent show".
type consentShowCommand struct {
	onService
	Output string `short:"o" placeholder:"FILE" help:"Write the symbol into a PNG file, each time anew. 输出 PNG 文件。"`
	Once   bool   `help:"Show one code, good for a minute and a half, and end. 只出示一次。"`
	ID     string `arg:"" help:"Identifier of the consent. 授权编号。"`
}

// shownCode is the service's answer with a code.
type shownCode struct {
	Code   string    `json:"code"`
	QR     string    `json:"qr"`
	Until  time.Time `json:"until"`
	NextIn int       `json:"next_in"`
}

// Run shows one code after another until the consent opens nothing any more, which ends it with
// the service's words, or the command is ended.
func (c *consentShowCommand) Run(t terminal) error {
	for {
		var code shownCode
		if _, err := c.change("/consents/"+url.PathEscape(c.ID)+"/code", struct{}{}, &code); err != nil {
			return err
		}
		if err := c.show(t, code); err != nil || c.Once {
			return err
		}
		time.Sleep(min(time.Duration(max(code.NextIn, 1))*time.Second, consent.CodePeriod))
	}
}

// show draws a code, on the terminal or into the file.
func (c *consentShowCommand) show(t terminal, code shownCode) error {
	if read, ok := consent.ParseCode(code.QR); !ok || read != code.Code {
		return unavailableError(errors.New("what the server sent is no code of a consent"))
	}
	symbol, err := qr.Encode(licence.QRText{URL: code.QR})
	if err != nil {
		return unavailableError(fmt.Errorf("drawing what the server sent: %w", err))
	}
	drawn := ""
	if c.Output != "" {
		err = write(c.Output, picture(symbol), 0o600)
	} else if drawn = blocks(symbol); !c.Once {
		drawn = "\x1b[H\x1b[2J" + drawn // on an empty screen
	}
	if err == nil {
		_, err = fmt.Fprintf(t.out, "%s%s\n有效至 good until %s\n", drawn, code.Code, code.Until.Local().Format(time.TimeOnly))
	}
	return err
}

// dark tells of a symbol's modules, counted with its quiet zone, which of them are dark.
func dark(s *qr.Symbol, column, row int) bool {
	in := func(at int) bool { return at >= qr.QuietZone && at < s.Size()+qr.QuietZone }
	return in(column) && in(row) && s.Module(column-qr.QuietZone, row-qr.QuietZone)
}

// blocks is a symbol as lines of half blocks, black on white whatever the terminal's colours are.
func blocks(s *qr.Symbol) string {
	var b strings.Builder
	side := s.Size() + 2*qr.QuietZone
	for row := 0; row < side; row += 2 {
		b.WriteString("\x1b[30;107m")
		for column := range side {
			switch upper, lower := dark(s, column, row), dark(s, column, row+1); {
			case upper && lower:
				b.WriteRune('█')
			case upper:
				b.WriteRune('▀')
			case lower:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String()
}

// moduleSide is the side of a module in pixels.
const moduleSide = 8

// picture is a symbol as PNG.
func picture(s *qr.Symbol) []byte {
	side := (s.Size() + 2*qr.QuietZone) * moduleSide
	p := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	for y := range side {
		for x := range side {
			if dark(s, x/moduleSide, y/moduleSide) {
				p.SetColorIndex(x, y, 1)
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, p); err != nil {
		panic(err) // a buffer takes all
	}
	return b.Bytes()
}
