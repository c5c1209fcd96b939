package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"elicence/crypto/cryptotest"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/render"
)

// wheel is an emblem of two rings; as a picture it is pictured.
const wheel = "100 100\n5 50 m 5 75 25 95 50 95 c 75 95 95 75 95 50 c 95 25 75 5 50 5 c 25 5 5 25 5 50 c h f\n"

// drawSeal runs "seal draw", which needs no instance, and returns the PNG.
func drawSeal(t *testing.T, look ...string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "drawn.png")
	cmd := exec.Command(binary, append([]string{"seal", "draw", "-o", file}, look...)...)
	cmd.Env = append(os.Environ(), "ELICENCE_FONTS="+fontsDir())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("drawing %v: %v\n%s", look, err, out)
	}
	png, err := os.ReadFile(file)
	must(t, err)
	return png
}

// TestSealsMadeToOrder takes seals of every look from their application into licences: the
// licence shows just the picture that was drawn, in its true size, and is genuine.
func TestSealsMadeToOrder(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	samples, err := loadSamples()
	must(t, err)
	a := issuerOf(samples[0].asks.TypeCode)
	emblem, brought := filepath.Join(t.TempDir(), "wheel.txt"), filepath.Join(t.TempDir(), "brought.png")
	must(t, os.WriteFile(emblem, []byte(wheel), 0o600))
	must(t, os.WriteFile(brought, drawSeal(t, "--diameter-mm", "45", "--name", a.Name, "--lower", "证照专用章"), 0o600))
	last := "ELC" + a.Code
	for i, w := range []struct {
		name          string
		width, height int // mm
		look          []string
	}{
		{"卫生健康行政审批专用章", 45, 30, []string{"--shape", "oval", "--width-mm", "45", "--height-mm", "30", "--lower", "行政审批专用章"}},
		{"卫生健康证照专用章", 50, 20, []string{"--shape", "rectangle", "--width-mm", "50", "--height-mm", "20", "--lower", "证照专用章"}},
		{"卫生健康委员会", 45, 45, []string{"--diameter-mm", "45", "--emblem", emblem, "--arc", "3301000012345", "--inner-ring"}},
		{"卫生健康出生医学证明专用章", 40, 40, []string{"--diameter-mm", "40", "--centre", "none", "--lower", "出生医学证明专用章"}},
		{"卫生健康备案章", 45, 45, []string{"--picture", brought, "--width-mm", "45", "--height-mm", "45"}},
	} {
		id := fmt.Sprintf("HZ-2026-%d", i)
		draw := slices.Clone(w.look)
		if w.look[0] != "--picture" {
			draw = append(draw, "--name", a.Name)
		}
		want := drawSeal(t, draw...)
		s.mustRun(t, id+": done, and logged", "seal", "apply", id, "--authority", a.Code, "--name", w.name, "--reason", "申请")
		s.mustRun(t, id+": done, and logged", append([]string{"seal", "make", id, "--reason", "制作"}, w.look...)...)
		s.output(t, "seal", "record", id, "--number", "BA"+id, "--reason", "备案")
		s.output(t, "seal", "use", id, "--reason", "启用")
		r := s.serve(t)
		licence := s.issueFile(t, r, id)
		sig := s.wantGenuine(t, r, w.name, licence)
		r.stop(t)
		if sig.Seal.ID != id || sig.Seal.Name != w.name || !bytes.Equal(sig.Seal.Picture.Data, want) {
			t.Errorf("%s: sealed with %s %q, picture of %d bytes, drawn of %d", id, sig.Seal.ID, sig.Seal.Name, len(sig.Seal.Picture.Data), len(want))
		}
		wantSize(t, id, licence, w.width, w.height)
		list := s.output(t, "seal", "list")
		if !strings.Contains(list, id+"\tin_use\t"+w.name) || !strings.Contains(list, last+"\trevoked") {
			t.Errorf("%s: list:\n%s", id, list)
		}
		if keep := os.Getenv("ELICENCE_KEEP"); keep != "" {
			must(t, os.WriteFile(filepath.Join(keep, id+".pdf"), licence, 0o644))
		}
		last = id
	}
	count := s.logged(t)
	if count[registry.ActionSealMaking] != 5 || count[registry.ActionSealRevoke] != 5 {
		t.Errorf("log: %v", count)
	}
}

// wantSize measures the widgets of a file in mm.
func wantSize(t *testing.T, name string, file []byte, width, height int) {
	t.Helper()
	for _, m := range regexp.MustCompile(`/Rect \[([0-9.]+) ([0-9.]+) ([0-9.]+) ([0-9.]+)\]`).FindAllSubmatch(file, -1) {
		var v [4]float64
		for i := range v {
			v[i], _ = strconv.ParseFloat(string(m[i+1]), 64)
		}
		if w, h := (v[2]-v[0])/72*25.4, (v[3]-v[1])/72*25.4; math.Abs(w-float64(width)) < 0.01 && math.Abs(h-float64(height)) < 0.01 {
			return
		}
	}
	t.Errorf("%s: no widget of %d by %d mm", name, width, height)
}

// TestSealFromElsewhere takes in a seal that another maker made: refused while its maker
// is not trusted or is for something else, then used.
func TestSealFromElsewhere(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	samples, err := loadSamples()
	must(t, err)
	a := issuerOf(samples[0].asks.TypeCode)
	keys, err := s.keys("")
	must(t, err)
	signer, err := keys.certificate("seal-" + a.Code)
	must(t, err)
	present, err := keys.present(ownSealName(a.Code))
	must(t, err)
	others := cryptotest.New(t)
	ca, now := others.Issuing, time.Now().UTC().Truncate(time.Second)
	for i, w := range []struct {
		maker cryptotest.Leaf
		pin   bool
		fails string
	}{
		{others.MustForeignMaker(t, ca, now.Add(-time.Hour)), false, "seal_maker"},
		{others.MustForeignMaker(t, ca, now.Add(-time.Hour), cryptotest.TLSClient), true, "seal_maker"},
		{others.MustForeignMaker(t, ca, now.Add(-time.Hour)), true, ""},
	} {
		id := fmt.Sprintf("OUT-%d", i)
		made, err := seal.Make(rand.Reader, w.maker.Certificate, w.maker.Key, seal.Template{ID: id, Vendor: "elsewhere", Type: seal.TypeUnit, Name: a.Name,
			Signers: []*pki.Certificate{signer}, CreatedAt: now, ValidFrom: now.Add(-time.Minute), ValidTo: now.AddDate(1, 0, 0), Picture: present.Picture})
		must(t, err)
		der := filepath.Join(t.TempDir(), "seal.esl")
		must(t, os.WriteFile(der, made.Raw, 0o600))
		if w.pin {
			must(t, os.WriteFile(keys.path(outsideAnchors), pki.MarshalTrustAnchors([]*pki.Certificate{w.maker.Certificate}, nil), 0o600))
		}
		s.output(t, "seal", "apply", id, "--authority", a.Code, "--name", a.Name, "--reason", "申请")
		s.output(t, "seal", "accept", id, "--file", der, "--reason", "制作")
		s.output(t, "seal", "record", id, "--number", "BA", "--reason", "备案")
		if use := []string{"seal", "use", id, "--reason", "启用"}; w.fails != "" {
			s.refuses(t, w.fails, use...)
		} else {
			s.output(t, use...)
		}
	}
	r := s.serve(t)
	defer r.stop(t)
	issued, err := s.issueOne(t, r, "elsewhere")
	must(t, err)
	if found := s.download(t, r, string(issued.Identifier)); !bytes.Contains(found, []byte(fmt.Sprintf("%x", "elsewhere"))) {
		t.Error("the licence is not sealed with the seal from elsewhere")
	}
}

// TestSealLookRefusals is a table of looks that no seal can have: each fault names its
// field.
func TestSealLookRefusals(t *testing.T) {
	fonts, err := openFonts(fontsDir())
	must(t, err)
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	good, err := render.DrawSeal(fonts, render.SealDesign{Name: "杭州市卫生健康委员会", DiameterMM: 42})
	must(t, err)
	png, bomb := string(good.PNG), bytes.Clone(good.PNG)
	copy(bomb[16:], "\x00\x00\xea\x60\x00\x00\xea\x60") // 60,000 by 60,000 pixels
	for i, sum := 0, crc32.ChecksumIEEE(bomb[12:29]); i < 4; i++ {
		bomb[29+i] = byte(sum >> (24 - 8*i))
	}
	picture := file("picture.png", png)
	for _, w := range []struct {
		name string
		look func(*sealLook)
		says string
	}{
		{"no size", func(l *sealLook) { l.DiameterMM = 0 }, "diameter_mm must be 38 to 60"},
		{"too large", func(l *sealLook) { l.DiameterMM = 61 }, "diameter_mm must be 38 to 60"},
		{"oval by diameter", func(l *sealLook) { l.Shape = "oval" }, "width_mm must be"},
		{"oval that is round", func(l *sealLook) { l.Shape, l.WidthMM, l.HeightMM = "oval", 45, 45 }, "height_mm must be"},
		{"another shape", func(l *sealLook) { l.Shape = "triangle" }, "shape must be"},
		{"another centre", func(l *sealLook) { l.Centre = "moon" }, "centre must be"},
		{"short name", func(l *sealLook) { l.Name = "杭州" }, "name of a seal"},
		{"long name", func(l *sealLook) { l.Name = strings.Repeat("局", 31) }, "name of a seal must have 30"},
		{"long lower line", func(l *sealLook) { l.Lower = strings.Repeat("章", 13) }, "lower of a seal must have 12"},
		{"long arc", func(l *sealLook) { l.Arc = strings.Repeat("1", 19) }, "arc of a seal must have 18"},
		{"middle of a round seal", func(l *sealLook) { l.Middle = "x" }, "middle belongs on an oval"},
		{"what no font draws", func(l *sealLook) { l.Lower = "专用章\U0001F642" }, "lower holds the pictograph"},
		{"no such emblem", func(l *sealLook) { l.Emblem = filepath.Join(dir, "none") }, "--emblem"},
		{"emblem of words", func(l *sealLook) { l.Emblem = file("words", "root:x:0:0") }, "emblem must begin"},
		{"emblem without size", func(l *sealLook) { l.Emblem = picture }, "width_mm must be"},
		{"emblem that is a JPEG", func(l *sealLook) {
			l.Emblem, l.EmblemWidthMM, l.EmblemHeightMM = file("jpeg", "\xff\xd8\xff\xe0"), 16, 16
		}, "is a JPEG"},
		{"emblem without end", func(l *sealLook) { l.Emblem = "/dev/zero" }, "over 1048576 bytes"},
		{"size of no emblem", func(l *sealLook) { l.EmblemWidthMM = 16 }, "go with --emblem"},
		{"emblem on an oval", func(l *sealLook) { l.Shape, l.WidthMM, l.HeightMM, l.Emblem = "oval", 45, 30, file("wheel", wheel) }, "emblem belongs on a round seal"},
		{"no such picture", func(l *sealLook) { *l = brought(filepath.Join(dir, "none"), 42, 42) }, "--picture"},
		{"picture of words", func(l *sealLook) { *l = brought(file("text.png", "not a picture"), 42, 42) }, "file is not a PNG"},
		{"picture that is a JPEG", func(l *sealLook) { *l = brought(file("photo.jpg", "\xff\xd8\xff\xe0"), 42, 42) }, "file is a JPEG"},
		{"picture bomb", func(l *sealLook) { *l = brought(file("bomb.png", string(bomb)), 42, 42) }, "file has 36286 by 36286 dots"},
		{"picture of 600 kB", func(l *sealLook) { *l = brought(file("large.png", png+strings.Repeat("\x00", 600<<10)), 42, 42) }, "file must be of 524288 bytes"},
		{"picture without end", func(l *sealLook) { *l = brought("/dev/zero", 42, 42) }, "over 1048576 bytes"},
		{"picture of other proportions", func(l *sealLook) { *l = brought(picture, 45, 40) }, "file has not the proportions"},
		{"picture cut short", func(l *sealLook) { *l = brought(picture, 60, 60); l.Picture = file("cut.png", png[:len(png)/2]) }, "file is a damaged PNG"},
		{"picture too wide", func(l *sealLook) { *l = brought(picture, 420, 420) }, "width_mm must be 15 to 60"},
		{"picture too high", func(l *sealLook) { *l = brought(picture, 42, 0) }, "height_mm must be 10 to 60"},
		{"picture and a text", func(l *sealLook) { *l = brought(picture, 42, 42); l.Lower = "专用章" }, "--picture goes with"},
	} {
		look := sealLook{Shape: "round", DiameterMM: 42, Name: "杭州市卫生健康委员会"}
		w.look(&look)
		if p, design, err := look.draw(fonts); err == nil || !strings.Contains(err.Error(), w.says) || p.PNG != nil || exitCode(err) != exitUsage && !errors.Is(err, fs.ErrNotExist) && !strings.Contains(w.says, "1048576") {
			t.Errorf("%s: %v, %v; want %q", w.name, design, err, w.says)
		}
	}
}

// brought is a look by a picture.
func brought(file string, width, height int) sealLook {
	return sealLook{Shape: "round", Picture: file, WidthMM: width, HeightMM: height}
}

// TestDrawnSeals runs the commands of docs/seals.md as they stand there: six pictures, and
// no warning. With a star the two governments of county level and above get one line.
func TestDrawnSeals(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/seals.md")
	must(t, err)
	_, script, found := strings.Cut(string(page), "<!-- draw -->\n```sh\n")
	script, _, closed := strings.Cut(script, "```\n<!-- /draw -->")
	if !found || !closed {
		t.Fatal("docs/seals.md has no commands")
	}
	starred := regexp.MustCompile(` --emblem \S+`).ReplaceAllString(script, "")
	for script, warnings := range map[string]int{script: 0, starred: 2} {
		dir := t.TempDir()
		must(t, os.Mkdir(filepath.Join(dir, "bin"), 0o755))
		must(t, os.Symlink(binary, filepath.Join(dir, "bin", "elicenced")))
		must(t, os.WriteFile(filepath.Join(dir, "emblem.txt"), []byte(wheel), 0o600))
		cmd := exec.Command("bash", "-eo", "pipefail", "-c", script)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "ELICENCE_FONTS="+fontsDir())
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, said.String())
		}
		drawn, err := filepath.Glob(filepath.Join(dir, "*.png"))
		must(t, err)
		if len(drawn) != 6 || strings.Count(said.String(), "bear the national emblem") != warnings || strings.Count(said.String(), "\n") != warnings {
			t.Errorf("%d pictures, want %d warnings:\n%s", len(drawn), warnings, said.String())
		}
	}
}

// TestSealMakeRefusals is a table of seals that are not made or used: they stay as they
// were.
func TestSealMakeRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t, "")
	samples, err := loadSamples()
	must(t, err)
	a := issuerOf(samples[0].asks.TypeCode)
	apply := func(id, authority string, more ...string) {
		t.Helper()
		s.output(t, append([]string{"seal", "apply", id, "--authority", authority, "--name", "专用章", "--reason", "申请"}, more...)...)
	}
	apply("ZY-1", a.Code)
	apply("ZY-2", cryptotest.USCC)
	apply("ZY-4", a.Code, "--replaces", "ZY-1")
	words := filepath.Join(t.TempDir(), "words")
	must(t, os.WriteFile(words, []byte("words"), 0o600))
	made := []string{"--reason", "r", "--diameter-mm", "42"}
	for _, w := range []struct {
		args []string
		says string
	}{
		{[]string{"make", "ZY-1", "--reason", "r"}, "diameter_mm must be 38 to 60"},
		{[]string{"make", "ZY-1", "--reason", "r", "--diameter-mm", "4.2"}, "diameter-mm"},
		{[]string{"make", "ZY-1", "--diameter-mm", "42"}, "--reason"},
		{append([]string{"make", "ZY-2"}, made...), "no key in this instance"},
		{append([]string{"make", "ZY-3"}, made...), "ZY-3"},
		{append([]string{"make", "ELC" + a.Code}, made...), "status"},
		{[]string{"use", "ZY-1", "--reason", "r"}, "status"},
		{[]string{"apply", "章-1", "--authority", a.Code, "--name", "n", "--reason", "r"}, "id must be of ASCII"},
		{[]string{"apply", "ZY-5", "--authority", a.Code, "--name", "章\x1b[2J", "--reason", "r"}, "name holds the control character U+001B"},
		{[]string{"apply", "ZY-5", "--authority", a.Code, "--name", "章", "--reason", "r", "--replaces", "NOPE"}, "replaces names no seal"},
		{[]string{"accept", "ZY-1", "--file", words, "--reason", "r"}, "malformed SESeal"},
	} {
		s.refuses(t, w.says, append([]string{"seal"}, w.args...)...)
	}
	// A seal that replaces another than the one in use does not push that one out.
	s.output(t, append([]string{"seal", "make", "ZY-4"}, made...)...)
	s.output(t, "seal", "record", "ZY-4", "--number", "1", "--reason", "r")
	s.refuses(t, "replaces is", "seal", "use", "ZY-4", "--reason", "r")
	list := s.output(t, "seal", "list")
	for _, want := range []string{"ZY-1\tapplied", "ZY-2\tapplied", "ZY-4\trecorded", "ELC" + a.Code + "\tin_use"} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in the list:\n%s", want, list)
		}
	}
}

// TestPictureOfSeal: the page shows a seal's own picture, as shapes while its design is
// kept and draws just that, and else as pixels.
func TestPictureOfSeal(t *testing.T) {
	fonts, err := openFonts(fontsDir())
	must(t, err)
	k := keyring{dir: t.TempDir()}
	design := render.SealDesign{Name: "杭州市卫生健康委员会", DiameterMM: 42}
	drawn, err := render.DrawSeal(fonts, design)
	must(t, err)
	own := seal.Picture{Type: "PNG", Data: drawn.PNG, Width: 42, Height: 42}
	traced, _, err := render.ImportSeal(drawn.PNG, 42, 42)
	must(t, err)
	other := design
	other.InnerRing = true
	for _, w := range []struct {
		name  string
		write func() error
		want  []byte
	}{
		{"no design", func() error { return nil }, traced.Content},
		{"its design", func() error { return k.keepDesign(design, drawn.PNG) }, drawn.Content},
		{"a design that draws another", func() error { return k.keepDesign(other, drawn.PNG) }, traced.Content},
		{"a design that draws nothing", func() error { return k.keepDesign(render.SealDesign{Name: "a"}, drawn.PNG) }, traced.Content},
	} {
		must(t, w.write())
		if p, err := k.picture(fonts, own); err != nil || !bytes.Equal(p.Content, w.want) || p.WidthMM != 42 {
			t.Errorf("%s: %v, the wanted picture: %t", w.name, err, bytes.Equal(p.Content, w.want))
		}
	}
	must(t, os.WriteFile(k.designFile(own.Data), []byte("{"), 0o600))
	var syntax *json.SyntaxError
	if _, err := k.picture(fonts, own); err == nil || errors.As(err, &syntax) {
		t.Errorf("a damaged design: %v", err)
	}
	var refused *licence.RequestError
	if _, err := k.picture(fonts, seal.Picture{Type: "PNG", Data: []byte("\x89PNG\r\n\x1a\n"), Width: 42, Height: 42}); !errors.As(err, &refused) {
		t.Errorf("a picture that is none: %v", err)
	}
}
