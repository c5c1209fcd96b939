package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"time"

	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/render"

	"github.com/emmansun/gmsm/sm3"
)

// sealLook says how a seal is to look: drawn, or as its picture shows it. The flags bear
// the names that refusals use. docs/seals.md has the rules.
type sealLook struct {
	Shape          string `help:"round, oval or rectangle." default:"round"`
	DiameterMM     int    `name:"diameter-mm" help:"Outer diameter of a round seal (38 to 60 mm)."`
	WidthMM        int    `name:"width-mm" help:"Width of any other shape, or of the picture."`
	HeightMM       int    `name:"height-mm" help:"Height of any other shape, or of the picture."`
	Name           string `help:"The unit's name on the seal (default: the authority's)."`
	Lower          string `help:"Line across below the centre, such as 行政审批专用章."`
	Arc            string `help:"Text along the lower arc: the digits of the registration, or words."`
	Middle         string `help:"Line across the centre of an oval."`
	Centre         string `help:"star or none (default: a star on a round seal)."`
	InnerRing      bool   `help:"A fine line inside the border."`
	Emblem         string `help:"File with an emblem for the centre: vectors, or a PNG with transparency and its size." type:"path"`
	EmblemWidthMM  int    `name:"emblem-width-mm" help:"Width of an emblem that is a PNG."`
	EmblemHeightMM int    `name:"emblem-height-mm" help:"Height of an emblem that is a PNG."`
	Picture        string `help:"PNG with transparency of a registered seal, instead of a drawn one; with --width-mm and --height-mm." type:"path"`
}

// maxPictureFile bounds what is read of a picture or emblem; the rules are stricter.
const maxPictureFile = 1 << 20

// draw makes the picture; design is what drew it, nil for one that was brought.
func (l sealLook) draw(fonts *render.Fonts) (p render.SealPicture, design *render.SealDesign, err error) {
	if l.Picture != "" {
		p, err = l.bring()
		return p, nil, err
	}
	d := render.SealDesign{
		Shape: render.SealShape(l.Shape), DiameterMM: l.DiameterMM, WidthMM: l.WidthMM, HeightMM: l.HeightMM,
		Name: l.Name, Lower: l.Lower, Arc: l.Arc, Middle: l.Middle, Centre: render.SealCentre(l.Centre), InnerRing: l.InnerRing,
	}
	if d.Emblem, err = l.emblem(); err != nil {
		return p, nil, err
	}
	p, err = render.DrawSeal(fonts, d)
	if err == nil && l.needsEmblem() {
		fmt.Fprintf(os.Stderr, "elicenced: look at it: %s: governments of county level and above bear the national emblem, not a star: --emblem FILE (docs/seals.md)\n", l.Name)
	}
	return p, &d, err
}

// emblemNames end the names of governments of county level and above.
var emblemNames = regexp.MustCompile(`[省市县区州旗]人民政府$`)

// needsEmblem reports whether a star stands where 国发〔1999〕25号 puts the national emblem.
func (l sealLook) needsEmblem() bool {
	star := l.Centre == "star" || l.Centre == "" && l.Shape == "round"
	return star && l.Emblem == "" && emblemNames.MatchString(l.Name)
}

// bring takes in a registered picture. What a person should look at is printed.
func (l sealLook) bring() (render.SealPicture, error) {
	drawn := l
	drawn.Picture, drawn.WidthMM, drawn.HeightMM, drawn.Name = "", 0, 0, ""
	if drawn != (sealLook{Shape: "round"}) {
		return render.SealPicture{}, fmt.Errorf("%w: --picture goes with --width-mm and --height-mm alone; the rest is for drawn seals", errUsage)
	}
	file, err := readAtMost(l.Picture, maxPictureFile)
	if err != nil {
		return render.SealPicture{}, fmt.Errorf("reading --picture: %w", err)
	}
	p, warnings, err := render.ImportSeal(file, l.WidthMM, l.HeightMM)
	if err != nil {
		return render.SealPicture{}, fmt.Errorf("--picture %s: %w", l.Picture, err)
	}
	for _, w := range warnings {
		fmt.Printf("look at it: %s\n", w)
	}
	return p, nil
}

// emblem reads what stands in the centre; nil when nothing was given.
func (l sealLook) emblem() (*render.Emblem, error) {
	if l.Emblem == "" {
		if l.EmblemWidthMM != 0 || l.EmblemHeightMM != 0 {
			return nil, fmt.Errorf("%w: --emblem-width-mm and --emblem-height-mm go with --emblem", errUsage)
		}
		return nil, nil
	}
	file, err := readAtMost(l.Emblem, maxPictureFile)
	if err != nil {
		return nil, fmt.Errorf("reading --emblem: %w", err)
	}
	if len(file) > 0 && file[0] > '~' { // a PNG or a JPEG, as no text begins
		e, err := render.ImportEmblem(file, l.EmblemWidthMM, l.EmblemHeightMM)
		if err != nil {
			return nil, fmt.Errorf("--emblem %s of --emblem-width-mm by --emblem-height-mm: %w", l.Emblem, err)
		}
		return e, nil
	}
	e, err := render.ParseEmblem(file)
	if err != nil {
		return nil, fmt.Errorf("--emblem %s: %w", l.Emblem, err)
	}
	return e, nil
}

// sealDrawCmd draws a seal and makes nothing.
type sealDrawCmd struct {
	sealLook
	Fonts  string `help:"Folder of the fonts." type:"path"`
	Output string `short:"o" required:"" help:"File for the PNG." type:"path"`
}

// Run draws.
func (d *sealDrawCmd) Run() error {
	fonts, err := openFonts(d.Fonts)
	if err != nil {
		return err
	}
	p, _, err := d.draw(fonts)
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.Output, p.PNG, 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: %d by %d mm, %d bytes\n", d.Output, p.WidthMM, p.HeightMM, len(p.PNG))
	return nil
}

// sealMakeCmd has the instance's own maker make a seal that was applied for.
type sealMakeCmd struct {
	sealAt
	sealLook
	Fonts string `help:"Folder of the fonts." type:"path"`
}

// Run makes the seal. Everything that can fail without the maker's key comes first.
func (m *sealMakeCmd) Run(ctx context.Context) error {
	fonts, err := openFonts(m.Fonts)
	if err != nil {
		return err
	}
	return m.use(ctx, func(in *instance) error {
		rec, a, err := m.authority(ctx, in)
		if err != nil {
			return err
		}
		if a.Code == "" {
			return fmt.Errorf("%s belongs to %s, which has no key in this instance: have it made elsewhere, and accept it", m.ID, rec.Authority)
		}
		if m.sealLook.Name == "" {
			m.sealLook.Name = a.Name
		}
		p, design, err := m.draw(fonts)
		if err != nil {
			return err
		}
		signer, err := in.keys.certificate("seal-" + a.Code)
		if err == nil {
			err = a.checkSigner(signer)
		}
		if err == nil && design != nil {
			err = in.keys.keepDesign(*design, p.PNG)
		}
		if err != nil {
			return err
		}
		_, err = in.registry.MakeSeal(ctx, registry.System("command-line"), m.ID, m.Reason, sm3.Sum(p.PNG), func() ([]byte, error) {
			made, err := in.keys.makeSeal(m.ID, rec.Name, signer, p, time.Now().UTC().Truncate(time.Second))
			if err != nil {
				return nil, err
			}
			return made.Raw, nil
		})
		return err
	})
}

// authority is the record of the command's seal, and the authority of this instance that
// it belongs to; the zero authority when that has no key here.
func (s *sealAt) authority(ctx context.Context, in *instance) (registry.SealRecord, authority, error) {
	rec, err := in.registry.Seal(ctx, s.ID)
	if err != nil {
		return rec, authority{}, err
	}
	return rec, in.settings.authority(rec.Authority), nil
}

// authority finds an authority by its code; the zero authority when there is none.
func (s settings) authority(code string) authority {
	i := slices.IndexFunc(s.Authorities, func(a authority) bool { return a.Code == code })
	if i < 0 {
		return authority{}
	}
	return s.Authorities[i]
}

// present is the seal of a name that is used from the next start on.
func (k keyring) present(name string) (*seal.Seal, error) {
	der, err := os.ReadFile(k.sealFile(name))
	if err != nil {
		return nil, err
	}
	return seal.ParseSeal(der)
}

// Run puts a seal into use. If the authority seals with another one, this one takes its
// place among the keys first: a crash between the two leaves a seal that the next start
// of the service enters as in use.
func (u *sealUseCmd) Run(ctx context.Context) error {
	return u.use(ctx, func(in *instance) error {
		rec, a, err := u.authority(ctx, in)
		if err == nil {
			err = u.check(in.settings, rec.Authority)
		}
		if err != nil {
			return err
		}
		if a.Code != "" && (rec.Status == registry.SealRecorded || rec.Status == registry.SealSuspended) {
			if err := in.install(ctx, rec, a, u.forCopies(a)); err != nil {
				return err
			}
		}
		_, err = in.registry.ChangeSeal(ctx, registry.System("command-line"), u.ID, registry.SealInUse, u.Reason)
		return err
	})
}

// install puts a seal of the register in the place of the one of a name, which is kept
// among the retired. Before the first seal of copies there is none.
func (in *instance) install(ctx context.Context, rec registry.SealRecord, a authority, name string) error {
	old, err := in.keys.present(name)
	if errors.Is(err, fs.ErrNotExist) && name == copySeal {
		old, err = &seal.Seal{}, nil
	}
	if err != nil || old.ID == rec.ID { // which may have been made anew since it was entered
		return err
	}
	key, err := in.keys.sealKey(nil, a, rec.DER)
	if err != nil {
		return err
	}
	if err := in.keys.checkInstalled(key.Seal.Maker, pki.UsageSealMaker); err != nil {
		return fmt.Errorf("nothing would be sealed with %s: its maker: %w", rec.ID, err)
	}
	last, err := in.registry.Seal(ctx, old.ID)
	if err != nil && !errors.Is(err, licence.ErrNotFound) {
		return err
	}
	replaces := last.Status == registry.SealInUse || last.Status == registry.SealSuspended
	if replaces && rec.Replaces != old.ID {
		return &licence.RequestError{Fields: []licence.FieldError{{Field: "replaces", Code: licence.CodeInvalid,
			Detail: fmt.Sprintf("is %q: the authority's licences are sealed with %s, which is %s", rec.Replaces, old.ID, last.Status)}}}
	}
	if err := in.keys.replaceSeal(name, old.Raw, rec.DER); err != nil {
		return err
	}
	fmt.Printf("%s seals with it from the next start of serve on\n", a.Name)
	if replaces {
		fmt.Printf("that start revokes %s\n", old.ID)
	}
	return nil
}

// replaceSeal puts a seal in the place of the one of a name, which is kept; old is empty when
// there is none.
func (k keyring) replaceSeal(name string, old, der []byte) error {
	staged, err := k.stage()
	if err != nil {
		return err
	}
	err = os.WriteFile(staged.sealFile(name), der, 0o644)
	if digest := sm3.Sum(old); err == nil && len(old) > 0 {
		err = os.WriteFile(staged.path(fmt.Sprintf("%s/%s-%x%s", retiredDir, name, digest[:8], sealSuffix)), old, 0o644)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(staged.dir))
	}
	return commitRotation(k.dir)
}
