package main

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
	"elicence/templates"
)

// catalogueInterval is how soon a server notices that another one changed the catalogue.
const catalogueInterval = time.Second

// shippedCatalogue are the licence types that the program brings, each with its layout.
func shippedCatalogue() (all []registry.CatalogueFiles, err error) {
	items, err := fs.Glob(templates.Catalogue(), "*/"+licence.ItemFile)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		files, err := shippedType(path.Dir(item))
		if err != nil {
			return nil, fmt.Errorf("reading the catalogue: %w", err)
		}
		all = append(all, files)
	}
	return all, nil
}

func shippedType(dir string) (files registry.CatalogueFiles, err error) {
	files = registry.CatalogueFiles{}
	for _, name := range []string{licence.ItemFile, licence.SchemaFile} {
		if files[name], err = fs.ReadFile(templates.Catalogue(), path.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	item, err := licence.ParseItem(files[licence.ItemFile], files[licence.SchemaFile])
	if err != nil {
		return nil, err
	}
	files[registry.LayoutFile], err = fs.ReadFile(templates.Layouts(), path.Join(item.Layout, registry.LayoutFile))
	return files, err
}

// enterCatalogue gives the register what the program ships and it has not.
func (in *instance) enterCatalogue(ctx context.Context) error {
	shipped, err := shippedCatalogue()
	if err != nil {
		return err
	}
	return in.registry.EnterCatalogue(ctx, registry.System("set-up"), shipped)
}

// watchCatalogue follows what other servers, and commands, change in the catalogue.
func (in *instance) watchCatalogue(ctx context.Context) {
	err := in.registry.RefreshCatalogue(ctx)
	if err != nil && ctx.Err() == nil && err.Error() != in.uncatalogued {
		slog.Error("catalogue not read", "fault", err)
	}
	in.uncatalogued = ""
	if err != nil {
		in.uncatalogued = err.Error()
	}
}
