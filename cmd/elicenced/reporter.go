package main

import (
	"fmt"
	"slices"

	"elicence/licence/registry"
	"elicence/licence/render"
	"elicence/templates"
)

// reporter is who seals verification reports; nil when the settings name nobody.
func (s settings) reporter() (*registry.Reporter, error) {
	if s.Platform == "" {
		return nil, nil
	}
	i := slices.IndexFunc(s.Authorities, func(a authority) bool { return a.Code == s.Platform })
	if i < 0 {
		return nil, fmt.Errorf("instance.json: platform %q is none of the authorities", s.Platform)
	}
	layouts, err := render.LoadLayouts(templates.Reports())
	if err != nil {
		return nil, err
	}
	return &registry.Reporter{Authority: s.Authorities[i].issuing(), Layout: layouts["verification"]}, nil
}
