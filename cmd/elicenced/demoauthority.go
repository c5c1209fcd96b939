package main

import (
	"slices"

	"elicence/licence/render"
)

// demoAuthority is an issuing authority of the demo, with the client of its
// approval system and the type codes it issues.
type demoAuthority struct {
	authority
	client string
	types  []string
}

// demoAuthorities are the issuing authorities of the sample requests.
var demoAuthorities = []demoAuthority{
	{authority{"杭州市西湖区市场监督管理局", "11330106002504122C", "330106", official}, "approval-market", []string{"11100000MB0143028R901"}},
	{authority{"杭州市城乡建设委员会", "113301000024903302", "330100", official}, "approval-construction", []string{"11100000000013338W901", "11100000000013338W902"}},
	{authority{"杭州市卫生健康委员会", "11330100002490170T", "330100", official}, "approval-health", []string{"11100000MB19000005901"}},
	{authority{"杭州市道路运输管理服务中心", "12330100470102108R", "330100", special}, "approval-transport", []string{"11100000000019713D071"}},
}

// The seals of the demo: an authority's own, with a star, and one for a special purpose,
// which must look different (国发〔1999〕25号, 二十二).
var (
	official = render.SealDesign{DiameterMM: 42}
	special  = render.SealDesign{DiameterMM: 40, Lower: "道路运输证件专用章", Centre: "none"}
)

// issuerOf is the authority that issues a type in the demo.
func issuerOf(typeCode string) demoAuthority {
	i := slices.IndexFunc(demoAuthorities, func(a demoAuthority) bool { return slices.Contains(a.types, typeCode) })
	return demoAuthorities[i]
}
