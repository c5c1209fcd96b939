package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"elicence/licence"
	"elicence/licence/registry"
	"elicence/licence/render"
)

// demoAuthority is an issuing authority of the demo, with the client of its
// approval system and the type codes it issues.
type demoAuthority struct {
	authority
	client string
	types  []string
}

// demoAuthorities are the issuing authorities of the sample requests, and one that
// co-seals.
var demoAuthorities = []demoAuthority{
	{authority{"杭州市西湖区市场监督管理局", "11330106002504122C", "330106", official}, "approval-market", []string{"11100000MB0143028R901", "11100000MB0143028R902"}},
	{authority{"杭州市城乡建设委员会", "113301000024903302", "330100", official}, "approval-construction", []string{"11100000000013338W901", "11100000000013338W902", "11100000000013338W903", demoJoint, demoDocument}},
	{authority{"杭州市卫生健康委员会", "11330100002490170T", "330100", official}, "approval-health", []string{"11100000MB19000005901", "11100000MB19000005902"}},
	{authority{"杭州市道路运输管理服务中心", "12330100470102108R", "330100", special}, "approval-transport", []string{"11100000000019713D071"}},
	demoPlanning,
}

// demoPlatform runs the demo's service and seals its verification reports; it issues no
// licences.
var demoPlatform = authority{"杭州市数据资源管理局", "11330100MB1K0321XR", "330100", reports}

// demoCity is the department that reuses.
var demoCity = licence.IssuingAuthority{Name: "杭州市人力资源和社会保障局", Code: "11330100002490082C", Division: "330100"}

// demoTypes are the codes of all types that are issued.
func demoTypes() (types []string) {
	for _, a := range demoAuthorities {
		types = append(types, a.types...)
	}
	return types
}

// The seals of the demo: an authority's own, with a star, and those for a special
// purpose, which must look different (国发〔1999〕25号, 二十二).
var (
	official = render.SealDesign{DiameterMM: 42}
	reports  = render.SealDesign{DiameterMM: 42, Lower: "电子证照核验专用章", Centre: "none"}
	special  = render.SealDesign{DiameterMM: 40, Lower: "道路运输证件专用章", Centre: "none"}
)

// demoJoint is the type whose licences bear two seals, demoPlanning whose seal is the
// first: the issuing authority seals last.
const demoJoint = "113301000024903302901"

// demoDocument is the type whose licences are drawn on a document.
const demoDocument = "113301000024903302902"

var demoPlanning = demoAuthority{authority{"杭州市规划和自然资源局", "11330100002491288H", "330100", official}, "approval-planning", []string{"11100000MB03271699001"}}

// issuerOf is the authority that issues a type in the demo.
func issuerOf(typeCode string) demoAuthority {
	i := slices.IndexFunc(demoAuthorities, func(a demoAuthority) bool { return slices.Contains(a.types, typeCode) })
	return demoAuthorities[i]
}

// coSeals reports whether the instance has a seal of the planning authority.
func (w *walk) coSeals() bool {
	return slices.ContainsFunc(w.in.settings.Authorities, func(a authority) bool { return a.Code == demoPlanning.Code })
}

// sealable leaves the joint licences out in a folder that was made before they existed: it
// holds no seal for their second authority.
func (w *walk) sealable(samples []sample) []sample {
	if w.coSeals() {
		return samples
	}
	fmt.Printf("skipped  joint licences: %s was made before %s had a seal; a new folder has it\n", w.dir, demoPlanning.Name)
	return slices.DeleteFunc(samples, func(s sample) bool { return s.asks.TypeCode == demoJoint })
}

// consent has the planning authority agree to the use of its seal, without which no
// joint licence is issued.
func (w *walk) consent(ctx context.Context) error {
	if !w.coSeals() {
		return nil
	}
	_, err := w.in.registry.PutSealConsent(ctx, registry.System("demo"), registry.SealConsent{
		TypeCode: demoJoint, Issuing: issuerOf(demoJoint).Code, Kind: "规划和自然资源主管部门",
		CoSealer: licence.CoSealer{Name: demoPlanning.Name, Code: demoPlanning.Code},
		Basis:    "演示：竣工联合验收联合用印授权", ValidFrom: licence.DateOf(time.Now()),
	})
	return err
}
