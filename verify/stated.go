package verify

import (
	"maps"
	"strings"

	"elicence/licence"
)

// Stated is what stands on the paper and in the QR code, and no more.
type Stated struct {
	Identifier licence.Identifier `json:"identifier"`
	TypeName   string             `json:"type_name"`
	Number     string             `json:"number"`
	HolderName string             `json:"holder_name"`
	// AuthorityName is empty for a QR code, which does not hold it, and so is CoSealerNames,
	// the authorities whose seals stand beside that one's, as one text.
	AuthorityName string `json:"authority_name"`
	CoSealerNames string `json:"co_sealer_names"`
	IssuedOn      string `json:"issued_on"`
	EffectiveOn   string `json:"effective_on"`
	// ExpiresOn is empty for a licence without a last day.
	ExpiresOn string `json:"expires_on"`
}

// Stated is what the file or the QR code states; nil when nothing may be said of it.
func (r *Report) Stated() *Stated {
	switch {
	case r.Licence != nil:
		l := r.Licence
		var coSealers []string
		for _, c := range l.CoSealers {
			coSealers = append(coSealers, c.Name)
		}
		return &Stated{l.Identifier, l.TypeName, l.Number, l.Holder.Name, l.Authority.Name, strings.Join(coSealers, "、"),
			l.IssuedOn.String(), l.EffectiveOn.String(), l.ExpiresOn.String()}
	case r.QR != nil:
		q := r.QR
		return &Stated{q.Identifier, q.TypeName, q.Number, q.HolderName, "", "",
			q.IssuedOn.String(), q.EffectiveOn.String(), q.ExpiresOn.String()}
	}
	return nil
}

// Until is the last day of validity, for people.
func (s *Stated) Until() string {
	if s.ExpiresOn == "" {
		return "长期"
	}
	return s.ExpiresOn
}

// stateLabels name the statuses to people.
var stateLabels = map[licence.Status]string{
	licence.StatusValid: "有效", licence.StatusSuspended: "暂停", licence.StatusRevoked: "已吊销",
	licence.StatusWithdrawn: "已撤销", licence.StatusCancelled: "已注销", licence.StatusSuperseded: "已被新版本替代",
	licence.StatusPending: "尚未签发", licence.StatusVoided: "已作废", licence.StatusExpired: "已过期", licence.StatusNotYetValid: "尚未生效", licence.StatusUnknown: "未核验",
}

// StateLabels are the names of the statuses for people.
func StateLabels() map[licence.Status]string { return maps.Clone(stateLabels) }

// StateLabel is the name of a status for people; of none, that of StatusUnknown.
func StateLabel(s licence.Status) string {
	if label, ok := stateLabels[s]; ok {
		return label
	}
	return stateLabels[licence.StatusUnknown]
}
