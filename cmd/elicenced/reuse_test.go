package main

import (
	"strings"
	"testing"
)

// reuseWalk runs the walk of docs/reuse.md: from the grant to the new version that a dispute
// led to.
func (s *site) reuseWalk(t *testing.T, r *running) {
	t.Helper()
	_, out := s.walk(t, r, "../../docs/reuse.md", "walk", nil)
	rest, found := out, true
	for _, want := range []string{
		"approved\t杭州市人力资源和社会保障局\n", "open\n",
		".001.", "'fields.premises': '浙江省杭州市西湖区转塘街道样例路1号食堂（一至二层）'",
		"forbidden\n", "copy.pdf: 加注件真实，仅供杭州市人力资源和社会保障局使用，有效期至",
		"TotalPassed valid 加注件真实，仅供杭州市人力资源和社会保障局使用，有效期至", "；原证照有效\n", "copy_expired\n",
		"杭州市人力资源和社会保障局 为学校食堂办理单位社会保险登记 SB-reuse-", " 330114007001 1.2.156.3005.2.11100000MB0143028R901.",
		"proved: entry ", "cosigned by 1 witnesses\n",
		"T16:00:00Z\n", "转塘街道样例路1号食堂（一至三层）\n", "accepted\n", ".001.",
		"closed 经现场核查，三层已投入使用 1.2.156.3005.2.11100000MB0143028R901.", ".002.",
		"'fields.premises': '浙江省杭州市西湖区转塘街道样例路1号食堂（一至三层，reuse-",
	} {
		if _, rest, found = strings.Cut(rest, want); !found {
			t.Fatalf("the walk lacks %q, in this order:\n%s", want, out)
		}
	}
}
