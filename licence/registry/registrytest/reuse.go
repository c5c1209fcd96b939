package registrytest

import (
	"fmt"
	"testing"

	"elicence/licence"
	"elicence/licence/registry"

	"github.com/emmansun/gmsm/sm3"
)

// Department is a department that reuses: a city's, which no sample is issued by.
var Department = licence.IssuingAuthority{Name: "杭州市人力资源和社会保障局", Code: "11330100002490082C", Division: "330100"}

// Partner is the caller that reuses for Department.
func Partner() registry.Caller {
	return registry.Caller{Principal: "partner", Roles: []registry.Role{registry.RolePartner}, Authority: Department, RequestID: "test"}
}

// Requester and Approver are the two whom a grant takes, the one of a department and the
// other of the platform, who decides on licences of a type.
func Requester(department licence.IssuingAuthority) registry.Caller {
	return registry.Caller{Principal: "requester-" + department.Code, Roles: []registry.Role{registry.RoleAuthority}, Authority: department, RequestID: "test"}
}

// Approver is the second.
func Approver(types ...string) registry.Caller {
	return registry.Caller{Principal: "approver", Roles: []registry.Role{registry.RoleAuthority}, Authority: Platform, Types: types, RequestID: "test"}
}

// Grant has a grant to its Authority requested and approved. What it does not say is filled in.
func (s *Service) Grant(t testing.TB, g registry.Grant) registry.Grant {
	t.Helper()
	for to, otherwise := range map[*string]string{&g.LegalBasis: "test", &g.Scenario: "test", (*string)(&g.How): string(registry.HowFunction)} {
		if *to == "" {
			*to = otherwise
		}
	}
	key := fmt.Sprintf("grant-%x", sm3.Sum(fmt.Append(nil, g, s.Now())))
	g, _, err := s.RequestGrant(t.Context(), Requester(g.Authority), registry.GrantRequest{Key: key, Grant: g})
	must(t, err)
	g, _, err = s.ApproveGrant(t.Context(), Approver(g.TypeCode), g.ID, registry.StatusRequest{Key: key})
	must(t, err)
	return g
}

// Case has a department's approval system register a case, which lasts a month.
func (s *Service) Case(t testing.TB, department licence.IssuingAuthority, k registry.Case) string {
	t.Helper()
	if k.MatterName == "" {
		k.MatterName = "社会保险登记"
	}
	if k.ValidTo.IsZero() {
		k.ValidTo = licence.DateOf(s.Now().AddDate(0, 1, 0))
	}
	c := registry.Caller{Principal: "approval-" + department.Code, Roles: []registry.Role{registry.RoleApprovalSystem}, Authority: department, RequestID: "test"}
	state, _, err := s.OpenCase(t.Context(), c, registry.CaseRequest{Key: "case-" + registry.CaseID(department.Code, k.Number), Case: k, Operator: "王五"})
	must(t, err)
	return state.ID
}
