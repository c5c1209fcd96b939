package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"elicence/internal/durable"
	"elicence/licence"
	"elicence/licence/registry"
)

// catalogueCmd looks after the licence types of the register, beside the running service,
// which follows within two seconds.
type catalogueCmd struct {
	List    catalogueListCmd    `cmd:"" help:"List the licence types and their versions."`
	Import  catalogueImportCmd  `cmd:"" help:"Take in a licence type from a folder, as a draft."`
	Export  catalogueExportCmd  `cmd:"" help:"Write the files that a version was imported from into a new folder."`
	Preview cataloguePreviewCmd `cmd:"" help:"Draw a sample licence by a version, crossed with 样本."`
	DryRun  catalogueDryRunCmd  `cmd:"" name:"dry-run" help:"Draw the newest licences of a type by a version, and say what would change."`
	Publish cataloguePublishCmd `cmd:"" help:"Make a draft what new licences are made by (发布)."`
	Retire  catalogueRetireCmd  `cmd:"" help:"End a draft or a published version (停用)."`
	Allow   catalogueAllowCmd   `cmd:"" help:"Register a client for a licence type: an approval system to issue it, an authority to keep it."`
}

type catalogueListCmd struct{ onRegister }

func (l *catalogueListCmd) Run(ctx context.Context) error {
	return l.with(ctx, func(in *instance) error {
		versions, _, err := in.registry.Catalogue(ctx, registry.System("command-line"))
		if err != nil {
			return err
		}
		fmt.Println("type\tversion\tstage\tname\tchanged\treason")
		for _, v := range versions {
			fmt.Printf("%s\t%d\t%s\t%s\t%s\t%s\n", v.TypeCode, v.Version, v.Stage, v.Name, v.ChangedAt.Format("2006-01-02"), v.Reason)
		}
		return nil
	})
}

type catalogueImportCmd struct {
	onRegister
	Folder string `arg:"" help:"Folder with item.json, fields.schema.json, layout.json and perhaps example.json." type:"path"`
	Reason string `required:"" help:"Why; it stands in the log."`
}

func (i *catalogueImportCmd) Run(ctx context.Context) error {
	files, err := readType(i.Folder)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return i.with(ctx, func(in *instance) error {
		v, _, err := in.registry.ImportCatalogue(ctx, registry.System("command-line"), files, registry.CatalogueChange{Reason: i.Reason})
		if err != nil {
			return fmt.Errorf("%s: %w", i.Folder, err)
		}
		return sayVersion(v)
	})
}

// sayVersion says where a version stands now.
func sayVersion(v registry.CatalogueVersion) error {
	fmt.Printf("%s version %d (%s): %s\n", v.TypeCode, v.Version, v.Name, v.Stage)
	return nil
}

// readType reads the folder of a licence type: regular files of its names, no links.
func readType(folder string) (registry.CatalogueFiles, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(20)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	files := registry.CatalogueFiles{}
	for _, name := range names {
		if files[name], err = readRegular(root, name); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(folder, name), err)
		}
	}
	return files, nil
}

// readRegular reads a file of a folder, but through no link.
func readRegular(root *os.Root, name string) ([]byte, error) {
	info, err := root.Lstat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("is no regular file")
	case info.Size() > licence.MaxJSON:
		return nil, fmt.Errorf("larger than %d bytes", licence.MaxJSON)
	}
	return root.ReadFile(name)
}

// catalogueAt names a version.
type catalogueAt struct {
	onRegister
	Type    string `arg:"" help:"Code of the licence type."`
	Version int    `arg:"" help:"Number of the version."`
}

type catalogueExportCmd struct {
	onRegister
	Type    string `arg:"" help:"Code of the licence type."`
	Version int    `help:"Number of the version (default: the published one)."`
	Output  string `short:"o" required:"" help:"Folder to write the files into; it must not be there yet." type:"path"`
}

func (e *catalogueExportCmd) Run(ctx context.Context) error {
	return e.with(ctx, func(in *instance) error {
		v, files, _, err := in.registry.CatalogueFiles(ctx, registry.System("command-line"), e.Type, e.Version)
		if err != nil {
			return noVersion(err, e.Type, e.Version)
		}
		if err := os.Mkdir(e.Output, 0o755); err != nil {
			return fmt.Errorf("%w: -o: %w", errUsage, err)
		}
		for _, name := range slices.Sorted(maps.Keys(files)) {
			if err := os.WriteFile(filepath.Join(e.Output, name), files[name], 0o644); err != nil {
				return err
			}
		}
		return sayVersion(v)
	})
}

// noVersion says which version is not there.
func noVersion(err error, typeCode string, version int) error {
	switch {
	case errors.Is(err, licence.ErrNotFound) && version == 0:
		return fmt.Errorf("%w: licence type %s has no published version", errUsage, typeCode)
	case errors.Is(err, licence.ErrNotFound):
		return fmt.Errorf("%w: licence type %s has no version %d", errUsage, typeCode, version)
	}
	return err
}

type (
	cataloguePublishCmd struct {
		catalogueAt
		Reason string `required:"" help:"Why; it stands in the log."`
	}
	catalogueRetireCmd struct {
		catalogueAt
		Reason string `required:"" help:"Why; it stands in the log."`
	}
)

func (p *cataloguePublishCmd) Run(ctx context.Context) error {
	return p.with(ctx, func(in *instance) error {
		v, _, err := in.registry.PublishCatalogue(ctx, registry.System("command-line"), p.Type, p.Version, registry.CatalogueChange{Reason: p.Reason})
		if err != nil {
			return noVersion(err, p.Type, p.Version)
		}
		return sayVersion(v)
	})
}

func (p *catalogueRetireCmd) Run(ctx context.Context) error {
	return p.with(ctx, func(in *instance) error {
		v, _, err := in.registry.RetireCatalogue(ctx, registry.System("command-line"), p.Type, p.Version, registry.CatalogueChange{Reason: p.Reason})
		if err != nil {
			return noVersion(err, p.Type, p.Version)
		}
		return sayVersion(v)
	})
}

// drawing is what the commands take that draw.
type drawing struct {
	Fonts string `help:"Folder of the fonts." type:"path"`
}

// drawWith opens an instance for one command that draws.
func (o *onRegister) drawWith(ctx context.Context, d drawing, use func(*instance) error) error {
	fonts, err := openFonts(d.Fonts)
	if err != nil {
		return err
	}
	in, err := open(ctx, options{location: o.location, passphraseFile: o.PassphraseFile, publicURL: "https://sample.invalid", registerOnly: true, fonts: fonts})
	if err != nil {
		return err
	}
	return errors.Join(use(in), in.close())
}

type cataloguePreviewCmd struct {
	onRegister
	drawing
	Type    string `arg:"" help:"Code of the licence type."`
	Version int    `help:"Number of the version (default: the published one)."`
	Page    int    `help:"Page of a PNG." default:"1"`
	Output  string `short:"o" required:"" help:"File to write, .pdf or .png." type:"path"`
}

func (p *cataloguePreviewCmd) Run(ctx context.Context) error {
	ending := strings.ToLower(filepath.Ext(p.Output))
	if ending != ".pdf" && ending != ".png" {
		return fmt.Errorf("%w: -o %s ends neither in .pdf nor in .png", errUsage, p.Output)
	}
	return p.drawWith(ctx, p.drawing, func(in *instance) error {
		file, _, err := in.registry.PreviewCatalogue(ctx, registry.System("command-line"), p.Type, p.Version)
		if err == nil && ending == ".png" {
			file, err = rasterise(ctx, file, p.Page)
		}
		if err != nil {
			return noVersion(err, p.Type, p.Version)
		}
		return durable.Replace(p.Output, file)
	})
}

// rasterTime bounds how long a page may take to become a picture.
const rasterTime = 30 * time.Second

// rasterise makes a PNG of one page of a PDF of ours, of 150 dots to the inch, by poppler.
func rasterise(ctx context.Context, file []byte, page int) ([]byte, error) {
	tool, err := exec.LookPath("pdftoppm")
	if err != nil {
		return nil, fmt.Errorf("%w: a PNG needs pdftoppm, of poppler (Debian: poppler-utils), which is not installed; ask for a PDF", registry.ErrNoRaster)
	}
	ctx, cancel := context.WithTimeout(ctx, rasterTime)
	defer cancel()
	at := fmt.Sprint(page)
	cmd := exec.CommandContext(ctx, tool, "-png", "-r", "150", "-singlefile", "-f", at, "-l", at, "-")
	var png, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(file), &png, &said
	if err := cmd.Run(); err != nil || !bytes.HasPrefix(png.Bytes(), []byte("\x89PNG")) {
		return nil, fmt.Errorf("page %d as a PNG, by pdftoppm: %v: %.200s", page, err, said.String())
	}
	return png.Bytes(), nil
}

type catalogueDryRunCmd struct {
	catalogueAt
	drawing
	Last int `help:"How many licences, the newest first." default:"20"`
}

func (d *catalogueDryRunCmd) Run(ctx context.Context) error {
	return d.drawWith(ctx, d.drawing, func(in *instance) error {
		runs, _, err := in.registry.DryRunCatalogue(ctx, registry.System("command-line"), d.Type, d.Version, d.Last)
		if err != nil {
			return noVersion(err, d.Type, d.Version)
		}
		refused := 0
		for _, run := range runs {
			fmt.Printf("%s, made by version %d: %d changes\n", run.Identifier, run.MadeBy, len(run.Changes))
			for _, f := range run.Faults {
				fmt.Printf("  refused: %s %s (%s)\n", f.Field, f.Detail, f.Code)
			}
			for _, change := range run.Changes {
				fmt.Printf("  %s\n", change)
			}
			if len(run.Faults) > 0 {
				refused++
			}
		}
		fmt.Printf("%d licences drawn, %d would be refused\n", len(runs), refused)
		return nil
	})
}

type catalogueAllowCmd struct {
	onRegister
	Type   string `arg:"" help:"Code of the licence type."`
	Client string `arg:"" help:"Identifier of the client."`
}

func (a *catalogueAllowCmd) Run(ctx context.Context) error {
	if err := licence.CheckTypeCode(a.Type); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return a.with(ctx, func(in *instance) error {
		client, err := in.database.Client(ctx, a.Client)
		if err != nil {
			return missing("client", a.Client, err)
		}
		if slices.Contains(client.Types, a.Type) {
			fmt.Printf("%s: registered for %s already\n", a.Client, a.Type)
			return nil
		}
		client.Types = append(client.Types, a.Type)
		if _, err := in.registry.PutClient(ctx, registry.System("command-line"), client); err != nil {
			return err
		}
		fmt.Printf("%s: registered for %s, and logged\n", a.Client, a.Type)
		return nil
	})
}
