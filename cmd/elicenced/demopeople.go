package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"elicence/licence"
	"elicence/licence/person"
	"elicence/licence/registry"
)

// testIdentity is somebody of the demo's identity provider, as elicence-testidp reads it.
type testIdentity struct {
	Subject string `json:"subject"`
	Name    string `json:"name"`
	About   string `json:"about"`
	Number  string `json:"id_number,omitempty"`
}

// demoOfficial is an official of the demo; one without a role is not registered, to show what
// then becomes of them.
type demoOfficial struct {
	id, name, about string
	role            person.Role
	authority       licence.IssuingAuthority
	types           []string
}

// demoClerk is the official who requests a grant that waits for somebody's decision, and the
// client by which they do.
const demoClerk = "clerk-social-security"

// demoOfficials are the people of the demo who sign in at /official.
func demoOfficials() []demoOfficial {
	return []demoOfficial{
		{"data", "陈立新", "杭州市数据资源管理局，授权审批：审批各单位的用证授权", person.Authority, demoPlatform.issuing(), demoTypes()},
		{demoClerk, "周敏", "杭州市人力资源和社会保障局，授权审批：查看本单位的用证授权", person.Authority, demoCity, nil},
		{"auditor", "吴鉴", "电子监察，审计员：查询访问日志", person.Auditor, licence.IssuingAuthority{}, nil},
		{"system", "郑维", "系统运维：查看和解除用证熔断", person.System, licence.IssuingAuthority{}, nil},
		{"stranger", "冯远", "未在本系统登记的工作人员：登录会被拒绝", "", licence.IssuingAuthority{}, nil},
	}
}

func (o demoOfficial) subject() string { return "official-" + o.id }

// at is the official as somebody of a provider. Where it listens is part of what they are
// called: at another address it is another provider, and its people are others.
func (o demoOfficial) at(issuer string) (person.Person, error) {
	u, err := url.Parse(issuer)
	return person.Person{ID: o.id + "-" + u.Port(), Issuer: issuer, Subject: o.subject(), Name: o.name,
		Roles: []person.Role{o.role}, Authority: o.authority, Types: o.types}, err
}

// testIdentities are the citizens who hold samples, and the officials.
func testIdentities() ([]testIdentity, error) {
	samples, err := loadSamples()
	var all []testIdentity
	for _, s := range samples {
		h := s.asks.Holder
		if h.CodeType != string(licence.CodeTypeCitizenNumber) || slices.ContainsFunc(all, func(t testIdentity) bool { return t.Number == h.Code }) {
			continue
		}
		all = append(all, testIdentity{"citizen-" + s.name, h.Name, "公民身份号码 " + h.Code, h.Code})
	}
	for _, o := range demoOfficials() {
		all = append(all, testIdentity{o.subject(), o.name, o.about, ""})
	}
	return all, err
}

// people registers the officials at the demo's provider, and leaves them a grant to decide on.
func (w *walk) people(ctx context.Context, _ []sample) error {
	if w.issuer == "" {
		return nil
	}
	for _, o := range demoOfficials() {
		if o.role == "" {
			continue
		}
		p, err := o.at(w.issuer)
		if err != nil {
			return err
		}
		if _, err := w.in.registry.AddPerson(ctx, registry.System("demo"), registry.PersonRequest{Key: "demo-person-" + p.ID, Person: p}); err != nil {
			return fmt.Errorf("registering %s: %w", p.ID, err)
		}
		if o.id == demoClerk {
			err = w.put(ctx, registry.Client{ID: demoClerk, Roles: []registry.Role{registry.RoleAuthority}, Authority: demoCity, Person: p.ID})
		}
		if err != nil {
			return err
		}
	}
	return errors.Join(w.requestGrant(ctx), w.save())
}

// requestGrant has the clerk request a grant, which a person alone can then approve.
func (w *walk) requestGrant(ctx context.Context) error {
	c, err := w.as(ctx, demoClerk)
	if err != nil {
		return err
	}
	body := fmt.Appendf(nil, `{"type_code":%q,"matter_code":"330114008000","scenario":"演示：工伤保险登记核验经营许可","how":"function",
		"fields":["number","status","expires_on","holder.name"],"legal_basis":"演示：工伤保险登记核验经营许可"}`, demoType)
	if err := c.post(ctx, "/grants", "demo-grant-clerk", body, nil); err != nil {
		return fmt.Errorf("requesting a grant as %s: %w", demoClerk, err)
	}
	return nil
}

// inviteToSignIn says where people sign in.
func (w *walk) inviteToSignIn() string {
	if w.issuer == "" {
		return ""
	}
	return strings.ReplaceAll(`  BASE/holder                a citizen's licences: sign in as one of some made-up people
  BASE/official              grants to approve, the log to search: sign in likewise
`, "BASE", w.file.BaseURL)
}
