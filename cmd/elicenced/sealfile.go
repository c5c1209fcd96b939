package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"elicence/crypto/pdfsig"
	"elicence/crypto/pki"
	"elicence/crypto/seal"
	"elicence/internal/durable"
	"elicence/licence/registry"
	"elicence/licence/render"
	"elicence/templates"

	"github.com/emmansun/gmsm/sm3"
)

// picturesDir holds the designs of seals, each named by the SM3 digest of the PNG that
// it draws, which is the one in the seal.
const picturesDir = "pictures"

func (k keyring) designFile(png []byte) string {
	digest := sm3.Sum(png)
	return k.path(filepath.Join(picturesDir, hex.EncodeToString(digest[:])+".json"))
}

// keepDesign writes the design that drew a picture. One that no seal comes to refer to
// does no harm.
func (k keyring) keepDesign(d render.SealDesign, png []byte) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	if _, err := render.ParseSealDesign(text); err != nil {
		return err
	}
	if err := os.MkdirAll(k.path(picturesDir), 0o700); err != nil {
		return err
	}
	return durable.Replace(k.designFile(png), text)
}

// picture is what a page shows of a seal's own picture: drawn where its design is kept
// and still gives just these pixels, else traced from them. So the page never shows
// anything but what the maker signed. With nil fonts, for commands that show no page, it
// is traced.
func (k keyring) picture(fonts *render.Fonts, p seal.Picture) (render.SealPicture, error) {
	text, err := os.ReadFile(k.designFile(p.Data))
	if err == nil {
		var design render.SealDesign
		if design, err = render.ParseSealDesign(text); err != nil {
			return render.SealPicture{}, err
		}
		if fonts != nil {
			picture, drawn, err := render.RedrawSeal(fonts, design, p.Data, p.Width, p.Height)
			if drawn {
				return picture, nil
			}
			slog.Warn("the design of a seal draws another picture than it did: the seal's own is traced", "name", design.Name, "fault", err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return render.SealPicture{}, err
	}
	return render.TraceSeal(p.Data, p.Width, p.Height)
}

// sealKey is the seal that an authority seals with, given as DER: it must list the
// authority's certificate, and have a picture that can be shown.
func (k keyring) sealKey(fonts *render.Fonts, a authority, der []byte) (*registry.SealKey, error) {
	cert, key, err := k.pair("seal-" + a.Code)
	if err != nil {
		return nil, err
	}
	if err := a.checkSigner(cert); err != nil {
		return nil, err
	}
	s, err := seal.ParseSeal(der)
	if err != nil {
		return nil, err
	}
	if !s.Lists(cert) {
		return nil, fmt.Errorf("the seal %s of %s does not list its signer's certificate", s.ID, a.Name)
	}
	picture, err := k.picture(fonts, s.Picture)
	if err != nil {
		return nil, fmt.Errorf("the picture of the seal %s of %s cannot be shown: %w", s.ID, a.Name, err)
	}
	appearance, err := pdfsig.Appearance{Width: picture.Width, Height: picture.Height, Content: picture.Content}.Deflated()
	if err != nil {
		return nil, err
	}
	return &registry.SealKey{Seal: s, Certificate: cert, Key: key, Appearance: appearance, Picture: &picture}, nil
}

// openSeals reads every authority's seal, and prepares its picture once.
func (in *instance) openSeals(fonts *render.Fonts) (map[string]*registry.SealKey, error) {
	seals := map[string]*registry.SealKey{}
	for _, a := range in.settings.Authorities {
		der, err := os.ReadFile(in.keys.sealFile(ownSealName(a.Code)))
		if err != nil {
			return nil, err
		}
		if seals[a.Code], err = in.keys.sealKey(fonts, a, der); err != nil {
			return nil, err
		}
	}
	return seals, nil
}

// The names of seals among the keys: of the one that an authority seals with, which its
// certificate and key have too, and of the platform's for annotated copies, which lists the
// same certificate.
func ownSealName(code string) string { return "seal-" + code }

const copySeal = "copies"

// sealFile holds the seal of a name.
func (k keyring) sealFile(name string) string { return k.path(name + sealSuffix) }

// namedSeal is a seal among the keys.
type namedSeal struct {
	authority
	name string
}

// ownSeals are the seals of an instance.
func (k keyring) ownSeals(s settings) (all []namedSeal, err error) {
	for _, a := range s.Authorities {
		all = append(all, namedSeal{a, ownSealName(a.Code)})
	}
	switch _, err := os.Stat(k.sealFile(copySeal)); {
	case s.Platform == "", errors.Is(err, fs.ErrNotExist): // without a platform, or made before there were copies
		return all, nil
	case err != nil:
		return nil, err
	}
	return append(all, namedSeal{s.authority(s.Platform), copySeal}), nil
}

// annotator makes annotated copies; nil when the instance has no seal for them.
func (in *instance) annotator(fonts *render.Fonts) (*registry.Annotator, error) {
	der, err := os.ReadFile(in.keys.sealFile(copySeal))
	if in.settings.Platform == "" || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	platform := in.settings.authority(in.settings.Platform)
	key, err := in.keys.sealKey(fonts, platform, der)
	if err != nil {
		return nil, err
	}
	layouts, err := render.LoadLayouts(templates.Copies())
	if err != nil {
		return nil, err
	}
	return &registry.Annotator{Authority: platform.issuing(), Seal: key, Strip: layouts["annotation"]}, nil
}

// makeSeal has the instance's maker sign a seal that lists one signer, and is valid from
// now, but for clocks that differ, until the signer's certificate ends.
func (k keyring) makeSeal(id, name string, signer *pki.Certificate, p render.SealPicture, now time.Time) (*seal.Seal, error) {
	maker, key, err := k.pair("maker")
	if err != nil {
		return nil, err
	}
	return seal.Make(rand.Reader, maker, key, seal.Template{
		ID: id, Vendor: "elicence", Type: seal.TypeUnit, Name: name, Signers: []*pki.Certificate{signer},
		CreatedAt: now, ValidFrom: now.Add(-time.Minute), ValidTo: signer.NotAfter,
		Picture: seal.Picture{Type: "PNG", Data: p.PNG, Width: p.WidthMM, Height: p.HeightMM},
	})
}
