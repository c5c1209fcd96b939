package verify

import (
	"fmt"
	"strings"

	"elicence/licence"
)

// Sentences are read aloud at a counter. So: first what was found, in words
// that need no knowledge of cryptography, then what to do. No abbreviation but
// QR; "文件" is the file, "证照" the licence; nobody is called a forger, for a
// damaged file looks the same as a forged one.

// reason is what a code means.
type reason struct {
	result Result
	sub    SubIndication // empty for passed and not_checked
	zh, en string
}

func passed(zh, en string) reason     { return reason{ResultPassed, "", zh, en} }
func notChecked(zh, en string) reason { return reason{ResultNotChecked, "", zh, en} }
func failed(sub SubIndication, zh, en string) reason {
	return reason{ResultFailed, sub, zh, en}
}
func indeterminate(sub SubIndication, zh, en string) reason {
	return reason{ResultIndeterminate, sub, zh, en}
}

// What to do next, where several sentences end alike.
const (
	downloadZH = "请勿采信，并请持证人从发证平台重新下载原件后再验。"
	downloadEN = "Do not rely on it; ask the holder to download the original from the issuing platform again."
	askZH      = "请勿采信，并与颁发机构核实。"
	askEN      = "Do not rely on it; ask the issuing authority."
)

// reasonFor returns the meaning of a code of this package. A code that is in no
// table would be a slip of ours, and fails the check it was given for.
func reasonFor(code string) reason {
	if r, ok := lookUp(code); ok {
		return r
	}
	return failed(FormatFailure, "内部错误："+code+"。请联系系统管理员。", "Internal fault: "+code+". Tell the system's operator.")
}

func lookUp(code string) (reason, bool) {
	for _, table := range []func(string) (reason, bool){fileReason, sealReason, timestampReason, dataReason, coSealReason, copyReason, registerReason, bundleReason, externalReason, pathReason} {
		if r, ok := table(code); ok {
			return r, true
		}
	}
	return reason{}, false
}

// fileReason holds the codes of structure and coverage; those that begin with
// "pdf_" carry a code of crypto/pdfsig.
func fileReason(code string) (reason, bool) {
	switch code {
	case "structure_ok":
		return passed("文件的结构与本系统签发的证照文件一致。", "The file is built as licence files are."), true
	case "qr_structure_ok":
		return passed("二维码的内容与本系统签发的证照二维码一致。", "The QR code holds what codes of licences hold."), true
	case "coverage_ok":
		return passed("电子印章的签署范围覆盖整个文件；内容是否改动见“文件内容完整性”。", "The seal is set over the whole file; whether the content was changed, the check of the content says."), true
	case "not_reached":
		return notChecked("因为其他检查没有通过，这一项没有进行。请先看没有通过的那一项。", "Not done, because another check did not pass. See that check first."), true
	case "not_in_report":
		return notChecked("这是核验报告，不是证照，没有这一项。要查验证照，请上传证照原件。", "This is a verification report and no licence, so there is nothing to check here. To verify the licence, upload its original."), true
	case "not_in_qr":
		return notChecked("只查验了二维码，没有文件可供此项检查。要核对文件请上传原件。", "Only a QR code was given; upload the file to check this."), true
	case "foreign_signature":
		return failed(FormatFailure, "文件带有其他软件的数字签名，不是本系统签发的证照文件，这里无法判断真伪。请用签署该文件的系统验证，或向颁发机构核实。",
			"The file is signed by other software; it is not a licence file and cannot be judged here. Verify it with the system that signed it, or ask the issuing authority."), true
	case "pdf_file_size":
		return failed(FormatFailure, "文件是空的或者太大，不是证照文件。请确认选对了文件。", "The file is empty or too large for a licence file. Check that it is the right one."), true
	case "pdf_header":
		return failed(FormatFailure, "这不是证照文件（PDF）。请上传从发证平台下载的原件，不要上传照片、扫描件或压缩包。",
			"This is not a licence file (PDF). Upload the original from the issuing platform, no photograph, scan or archive."), true
	case "pdf_no_signature":
		return failed(FormatFailure, "文件里没有可读的电子印章，可能是打印转存或另存的副本。请持证人提供从发证平台下载的原件。",
			"The file holds no readable seal; it may be a printed or re-saved copy. Ask the holder for the original from the issuing platform."), true
	case "pdf_active_content", "pdf_optional_content":
		return failed(FormatFailure, "文件里有可以改变显示内容的部分，证照文件不会有。"+downloadZH, "The file holds parts that can change what is shown; licence files have none. "+downloadEN), true
	case "pdf_encrypted":
		return failed(FormatFailure, "文件被加了密码，无法验证。请持证人提供未加密的原件。", "The file is encrypted and cannot be verified. Ask the holder for the original."), true
	case "pdf_revisions":
		return failed(FormatFailure, "盖章之后文件又被添加或改动过内容。"+downloadZH, "Something was added to the file after it was sealed. "+downloadEN), true
	case "pdf_byte_range", "pdf_contents":
		return failed(FormatFailure, "电子印章没有完整保护这个文件，或文件里存放印章的地方被改动过。"+downloadZH, "The seal does not cover the whole file, or the place that holds it was altered. "+downloadEN), true
	}
	if strings.HasPrefix(code, "pdf_") {
		return failed(FormatFailure, "文件与本系统签发的形式不符，可能已损坏或被改动。"+downloadZH, "The file is not as it was issued; it is damaged or was altered. "+downloadEN), true
	}
	return reason{}, false
}

func sealReason(code string) (r reason, ok bool) {
	switch code {
	case "seal_signature_ok":
		r = passed("电子印章核对无误。", "The seal checks out.")
	case "seal_signature_malformed":
		r = failed(FormatFailure, "文件里的电子印章残缺或被改动，无法读取。"+downloadZH, "The seal in the file is damaged or was altered, and cannot be read. "+downloadEN)
	case "seal_signature_foreign":
		r = failed(FormatFailure, "文件上的电子印章是其他厂商制作的，写法与国家标准不同，不是本系统签发的证照文件，这里无法判断真伪。请用制作印章的厂商的软件验证，或向颁发机构核实。",
			"The seal was made by another maker, in a form that departs from the standard; this is not a licence file and cannot be judged here. Verify it with that maker's software, or ask the issuing authority.")
	case "seal_signature_wrong":
		r = failed(SigCryptoFailure, "电子印章核对不上：不是印章里写明的单位盖的，或者盖好之后被改动过。"+askZH, "The seal does not check out: the unit that it names did not set it, or it was altered afterwards. "+askEN)
	case "pades_wrong":
		r = failed(SigCryptoFailure, "文件里另有一个供国外软件核对的电子签名，核对不上，文件可能被改动过。"+askZH, "The further signature in the file, for foreign software, does not check out; the file may have been altered. "+askEN)
	case "seal_ok":
		r = passed("电子印章由制章单位制发、在有效期内，签章人有权使用。", "The seal was made by its maker, is within its validity, and the signer may use it.")
	case "bare_seal_ok":
		r = passed("电子印章由所示制章单位制发，在有效期内。", "The named maker made this seal, and it is within its validity.")
	case "bare_seal_outside_validity":
		r = failed(SigConstraintsFailure, "这枚电子印章不在有效期内，不能用来盖章。请换用在有效期内的印章。", "The seal is outside its validity and cannot be used. Use one that is within.")
	case "seal_foreign_version":
		r = indeterminate(SigConstraintsFailure, "电子印章的版本不是本系统使用的版本，无法完整验证。请向颁发机构核实。", "The seal is of a version that this system does not use and cannot be checked fully. Ask the issuing authority.")
	case "seal_maker_signature_wrong":
		r = failed(SigCryptoFailure, "这枚电子印章不是印章里写明的制章单位制作的，或者印章的图案、名称、期限被改动过。"+askZH, "The named maker did not make this seal, or its picture, name or dates were altered. "+askEN)
	case "signer_not_listed":
		r = failed(SigConstraintsFailure, "盖章的人不在这枚印章的授权名单里，无权使用它。"+askZH, "Whoever set this seal is not among those allowed to use it. "+askEN)
	case "signer_other_authority":
		r = failed(SigConstraintsFailure, "盖章的是另一个单位，不是证照里写明的颁发机构。"+askZH, "Another body sealed this than the issuing authority that the licence names. "+askEN)
	case "signer_other_reporter":
		r = failed(SigConstraintsFailure, "核验报告不是由它写明的核验平台盖的章。请勿采信，并向该平台核实。", "The platform that the verification report names did not seal it. Do not rely on it; ask that platform.")
	case "signer_uscc_absent":
		r = indeterminate(SigConstraintsFailure, "盖章单位的证书里没有统一社会信用代码，无法确认是不是颁发机构盖的章。请向颁发机构核实；颁发机构应当换用写明代码的证书。",
			"The signer's certificate states no unified social credit code, so it is not known whether the issuing authority sealed this. Ask that authority, which should take a certificate that states its code.")
	case "signer_uscc_malformed":
		r = indeterminate(SigConstraintsFailure, "盖章单位的证书里的统一社会信用代码格式错误，无法确认是不是颁发机构盖的章。请向颁发机构核实；颁发机构应当换用代码正确的证书。",
			"The unified social credit code in the signer's certificate is malformed, so it is not known whether the issuing authority sealed this. Ask that authority, which should take a certificate with its code in the right form.")
	case "seal_expired":
		r = failed(SigConstraintsFailure, "盖章时这枚电子印章已过有效期。"+askZH, "The seal's validity was over when it was used. "+askEN)
	case "seal_not_yet_valid":
		r = failed(SigConstraintsFailure, "盖章时这枚电子印章还没有生效。"+askZH, "The seal was not yet valid when it was used. "+askEN)
	case "seal_outside_validity_no_poe":
		r = indeterminate(OutOfBoundsNoPOE, "这枚电子印章现在不在有效期内，又没有时间戳证明是在有效期内盖的。请持证人重新下载带时间戳的文件，或向颁发机构核实。",
			"The seal is outside its validity now, and no timestamp proves that it was used within. Ask for the file with a timestamp, or ask the issuing authority.")
	case "document_digest_ok":
		r = passed("文件内容与盖章时完全一致。", "The content is exactly what was sealed.")
	case "document_digest_differs":
		r = failed(HashFailure, "文件内容在盖章之后被改动过。"+downloadZH, "The content was changed after it was sealed. "+downloadEN)
	case "not_revoked":
		r = passed("盖章和制章所用的证书没有被吊销。", "The certificates of signer and seal maker are not revoked.")
	case "revoked_later":
		r = passed("证书后来被吊销，但有证据证明盖章在吊销之前，不影响这份文件。", "A certificate was revoked later; there is proof that the file was sealed before, so it stands.")
	case "revocation_not_reached":
		r = notChecked("证书没有查到可信的来源或不在有效期内，没有继续查吊销情况。请先看证书那一项。", "Not done, because a certificate is not trusted or not within its validity. See the check of that certificate first.")
	}
	return r, r.result != ""
}

func timestampReason(code string) (r reason, ok bool) {
	switch code {
	case "timestamp_own":
		r = passed("盖章时间有时间戳证明（与盖章单位属同一证书机构的时间戳服务）。", "A timestamp proves when the file was sealed (a timestamp service under the signer's own certificate authority).")
	case "timestamp_outside":
		r = passed("盖章时间有独立的第三方时间戳证明。", "A timestamp of an outside authority proves when the file was sealed.")
	case "timestamp_absent":
		r = notChecked("文件没有时间戳，盖章时间没有独立证明，证书按现在的状态判断。如需证明盖章时间，请持证人重新下载带时间戳的文件。", "The file has no timestamp; nothing proves when it was sealed, and certificates are judged as of now. Where the time matters, ask the holder for a file with a timestamp.")
	case "timestamp_pending":
		r = notChecked("文件签发时时间戳服务暂不可用，盖章时间以证照库的记录为准。稍后可下载带时间戳的文件。", "The timestamp is still pending; the register's record stands for the time of sealing. A file with a timestamp can be had later.")
	case "timestamp_available":
		r = notChecked("这是补时间戳之前的文件，真实有效；证照库里已有带时间戳的文件，建议重新下载。", "This is the file from before its timestamp was added, and genuine; the register holds one with a timestamp, which should be fetched.")
	case "timestamp_stripped":
		r = indeterminate(NoPOE, "证照库里的原件带有时间戳，这份文件的时间戳被去掉了。请勿采信，请持证人从发证平台重新下载。", "The registered original has a timestamp and this file lacks it. Do not rely on it; ask for the original from the issuing platform.")
	case "timestamp_malformed":
		r = failed(FormatFailure, "文件里用来证明盖章时间的时间戳残缺或被改动，无法读取。"+downloadZH, "The timestamp, which proves when the file was sealed, is damaged or was altered and cannot be read. "+downloadEN)
	case "timestamp_other_signature":
		r = failed(HashFailure, "文件里用来证明盖章时间的时间戳不是这枚印章的，是从别处来的。"+downloadZH, "The timestamp, which proves when the file was sealed, is not this seal's. "+downloadEN)
	case "timestamp_wrong":
		r = failed(SigCryptoFailure, "文件里用来证明盖章时间的时间戳核对不上，可能被改动过。"+downloadZH, "The timestamp, which proves when the file was sealed, does not check out; it may have been altered. "+downloadEN)
	case "timestamp_in_future":
		r = indeterminate(TimestampOrderFailure, "时间戳的时间晚于验证时间。请检查电脑时钟或所选的验证时间后重试。", "The timestamp is later than the validation time. Check the clock, or the time chosen, and try again.")
	case "timestamp_before_claimed":
		r = indeterminate(TimestampOrderFailure, "印章里写明的盖章时间，比时间戳证明的时间还要晚，两者矛盾。请与颁发机构核实。", "The seal claims a later time than its timestamp proves, which cannot be. Ask the issuing authority.")
	}
	return r, r.result != ""
}

func dataReason(code string) (r reason, ok bool) {
	switch code {
	case "qr_ok":
		r = passed("二维码由可信的签发者签发，没有被改动。", "The QR code comes from a trusted signer and is unaltered.")
	case "qr_text_ok":
		r = passed("扫到的二维码就是这份文件的二维码，由可信的签发者签发，没有被改动。", "The scanned QR code is this file's own, comes from a trusted signer and is unaltered.")
	case "qr_text_of_other_file":
		r = failed(SigConstraintsFailure, "扫到的二维码不是这份文件的二维码，可能取自另一张证照。"+askZH, "The scanned QR code is not this file's own; it may come from another licence. "+askEN)
	case "qr_text_malformed":
		r = failed(FormatFailure, "这不是证照查验二维码。请对准证照上的二维码重新扫描。", "This is not a licence QR code. Scan the code on the licence again.")
	case "qr_malformed":
		r = failed(FormatFailure, "二维码残缺或被改动，无法读取。"+askZH, "The QR code is damaged or was altered, and cannot be read. "+askEN)
	case "qr_certificate_malformed":
		r = failed(FormatFailure, "文件所附的二维码签发者资料残缺或被改动，无法读取。"+downloadZH, "What the file says of the QR code's signer is damaged or was altered. "+downloadEN)
	case "qr_other_key":
		r = failed(SigConstraintsFailure, "二维码里写明的签发者，与文件所附的签发者不是同一个。"+askZH, "The QR code names another signer than the file does. "+askEN)
	case "qr_key_unknown":
		r = indeterminate(NoSigningCertificateFound, "这里没有这个二维码的签发者的资料，无法判断真伪。请更新信任列表后重试，或在发证平台在线查验。", "The QR code's signer is not known here. Update the trust list and try again, or verify online at the issuing platform.")
	case "qr_signature_wrong":
		r = failed(SigCryptoFailure, "二维码核对不上：内容被改动过，或者不是发证平台生成的。"+askZH, "The QR code does not check out: it was altered, or does not come from the issuing platform. "+askEN)
	case "attached_data_ok":
		r = passed("文件所附数据、二维码数据和证照内容一致。", "The attached data, the QR data and the licence agree.")
	case "attachments_wrong":
		r = failed(FormatFailure, "文件所附的数据不齐或多出了内容。"+downloadZH, "The attached files are not those of a licence file. "+downloadEN)
	case "verification_report":
		r = indeterminate(SignedDataNotFound, "这是平台出具的核验报告，不是证照，不能当证照使用。要查验证照，请上传证照原件。", "This is a verification report of a platform and no licence, and cannot be used as one. To verify the licence, upload its original.")
	case "report_malformed":
		r = failed(FormatFailure, "核验报告所附的数据格式错误。"+askZH, "The data attached to the verification report is malformed. "+askEN)
	case "licence_malformed":
		r = failed(FormatFailure, "文件所附的证照数据残缺或被改动，无法读取。"+askZH, "The attached licence data is damaged or was altered, and cannot be read. "+askEN)
	case "data_digest_differs":
		r = failed(HashFailure, "二维码属于另一份证照，与文件所附数据对不上。"+askZH, "The QR code belongs to other data than the file carries. "+askEN)
	case "pinyin_differs":
		r = failed(SigConstraintsFailure, "文件所附的两份证照数据互相矛盾。"+askZH, "The two forms of the licence data in the file contradict each other. "+askEN)
	case "portrait_unnamed":
		r = failed(FormatFailure, "文件里有照片，证照数据却没有写明。"+askZH, "The file has a portrait that the licence data does not name. "+askEN)
	case "portrait_missing":
		r = failed(FormatFailure, "证照数据写明了照片，文件里却缺少。"+downloadZH, "The portrait that the licence data names is missing from the file. "+downloadEN)
	case "portrait_differs":
		r = failed(HashFailure, "文件所附的照片被换过，不是证照数据写明的那张。"+askZH, "The attached portrait is not the one that the licence data names. "+askEN)
	case "portrait_drawn_differs":
		r = failed(HashFailure, "版面上的照片与文件所附的照片不同。"+askZH, "The portrait that is seen is not the attached one. "+askEN)
	case "qr_data_differ":
		r = failed(SigConstraintsFailure, "二维码里的内容与文件所附的证照数据不同。"+askZH, "What the QR code says differs from the attached licence data. "+askEN)
	}
	return r, r.result != ""
}

// coSealReason holds the codes of the check co_seals. What is wrong with a co-seal itself
// stands under the checks of seals.
func coSealReason(code string) (r reason, ok bool) {
	switch code {
	case "co_seals_none":
		r = passed("证照只由颁发机构盖章，没有联合用印机构。", "The issuing authority seals alone.")
	case "co_seals_ok":
		r = passed("联合用印机构都已盖章，与证照数据写明的一致。", "The co-sealing authorities that the licence data name have sealed, and nobody else.")
	case "co_seal_missing":
		r = failed(SigConstraintsFailure, "证照数据写明由几个机构联合用印，但文件上的印章不齐。"+askZH, "The licence data name co-sealing authorities whose seals the file lacks. "+askEN)
	case "co_seal_unexpected":
		r = failed(SigConstraintsFailure, "文件上有证照数据没有写明的印章。"+askZH, "The file bears a seal of somebody whom the licence data do not name. "+askEN)
	case "co_seal_other_authority":
		r = failed(SigConstraintsFailure, "文件上的一枚联合用印印章属于另一个单位，或印章的次序与证照数据不同。"+askZH,
			"A co-seal belongs to another body than the one that the licence data name in its place. "+askEN)
	case "co_seal_unreadable":
		r = failed(FormatFailure, "文件上的一枚联合用印印章无法读取。"+downloadZH, "A co-seal cannot be read. "+downloadEN)
	case "co_seal_uscc_absent":
		r = indeterminate(SigConstraintsFailure, "联合用印单位的证书里没有统一社会信用代码，无法确认是哪个机构盖的章。请向颁发机构核实；盖章的机构应当换用写明代码的证书。",
			"The certificate behind a co-seal states no unified social credit code, so it is not known who sealed. Ask the issuing authority; whoever sealed should take a certificate that states its code.")
	case "co_seal_uscc_malformed":
		r = indeterminate(SigConstraintsFailure, "联合用印单位的证书里的统一社会信用代码格式错误，无法确认是哪个机构盖的章。请向颁发机构核实；盖章的机构应当换用代码正确的证书。",
			"The unified social credit code in the certificate behind a co-seal is malformed, so it is not known who sealed. Ask the issuing authority; whoever sealed should take a certificate with its code in the right form.")
	}
	return r, r.result != ""
}

func registerReason(code string) (r reason, ok bool) {
	switch code {
	case "registered":
		r = passed("与证照库里的记录完全一致。", "It is exactly what the register holds.")
	case "registered_other_version":
		r = passed("内容与证照库里的原件相同，时间戳部分不同。", "The content is that of the registered original; the timestamp part differs.")
	case "register_absent":
		r = notChecked("离线验证，没有查询证照库。需要确认当前状态请在线查验。", "Verified offline, without the register. Verify online to learn the present state.")
	case "not_registered":
		r = notChecked("本平台的证照库里没有这张证照，可能由其他平台签发。请到颁发机构的平台查验。", "This platform's register has no such licence; another platform may have issued it. Verify there.")
	case "register_unavailable":
		r = notChecked("证照库暂时无法访问，没有核对。请稍后重试。", "The register could not be reached. Try again later.")
	case "register_data_differs":
		r = failed(HashFailure, "内容与证照库里同一证照标识的记录不同。"+askZH, "It differs from what the register holds under the same identifier. "+askEN)
	case "register_file_differs":
		r = indeterminate(NoPOE, "证照库里有这张证照，但登记的是另一份文件。请持证人从发证平台重新下载后再验。", "The register holds this licence with another file. Ask for the file from the issuing platform.")
	case "state_unknown":
		r = notChecked("证照当前状态未核验。办理前请在线查验，或使用最新的信任列表。", "The licence's present state was not checked. Verify online, or with the newest trust list, before acting on it.")
	case "state_not_judged":
		r = notChecked("文件没有通过验证，不对证照状态作判断。请先看没有通过的那一项。", "The file failed, so nothing is said of the licence. See the check that failed first.")
	case "trust_list_expired":
		r = notChecked("信任列表已过期，不能据此判断证照当前状态。请更新信任列表，或在线查验。", "The trust list is out of date and does not tell the present state. Update it, or verify online.")
	case "trust_list_other_authority":
		r = notChecked("信任列表不包括这张证照的颁发机构，不能说明证照状态。请使用颁发机构所在平台的信任列表，或在线查验。", "The trust list does not speak for this licence's issuing authority, so it does not tell the state. Use the list of that authority's platform, or verify online.")
	case "trust_list_older":
		r = notChecked("没有证据证明证照在信任列表发布之前已签发，列表不能说明其状态。请更新信任列表，或在线查验。", "Nothing proves that the licence was issued before the trust list was, so the list does not tell its state. Update it, or verify online.")
	case "state_valid":
		r = passed("证照有效。", "The licence is valid.")
	}
	if status, found := strings.CutPrefix(code, "state_"); found && r.result == "" {
		if zh, en := stateNames(licence.Status(status)); zh != "" {
			r = failed("", "证照"+zh+"。请不要据此办理，如有疑问请与颁发机构核实。", "The licence is "+en+". Do not act on it; in doubt, ask the issuing authority.")
		}
	}
	return r, r.result != ""
}

// stateNames returns a predicate for a status that is known to be bad.
func stateNames(s licence.Status) (zh, en string) {
	switch s {
	case licence.StatusPending:
		return "尚在制发，还没有发出", "being made and was not issued yet"
	case licence.StatusVoided:
		return "作废，从未发出", "void and was never issued"
	case licence.StatusSuspended:
		return "已被暂停使用", "suspended"
	case licence.StatusRevoked:
		return "已被吊销", "revoked"
	case licence.StatusWithdrawn:
		return "已被撤销", "withdrawn"
	case licence.StatusCancelled:
		return "已注销", "cancelled"
	case licence.StatusSuperseded:
		return "已被新版本替代", "superseded by a newer version"
	case licence.StatusExpired:
		return "已过有效期", "expired"
	case licence.StatusNotYetValid:
		return "还没有生效", "not yet in force"
	}
	return "", ""
}

// role is whose certificate a path is followed for; codes of paths begin with it.
type role string

const (
	roleMaker  role = "maker"
	roleSigner role = "signer"
	roleTSA    role = "tsa"
	roleQR     role = "qr_signer"
)

func (r role) name() (zh, en string) {
	switch r {
	case roleMaker:
		return "制章单位的证书", "the seal maker's certificate"
	case roleSigner:
		return "盖章单位的证书", "the signer's certificate"
	case roleTSA:
		return "时间戳机构的证书", "the timestamp authority's certificate"
	}
	return "二维码签发者的证书", "the QR signer's certificate"
}

// pathReason holds the codes "<role>_<fault>" of certificate paths. Those with
// the ending _no_poe say that nothing proves the time of signing.
func pathReason(code string) (reason, bool) {
	for _, who := range []role{roleMaker, roleSigner, roleTSA, roleQR} {
		if fault, ok := strings.CutPrefix(code, string(who)+"_"); ok {
			r := pathFault(fault)
			zh, en := who.name()
			r.zh = fmt.Sprintf(r.zh, zh)
			if r.en = fmt.Sprintf(r.en, en); r.en != "" {
				r.en = strings.ToUpper(r.en[:1]) + r.en[1:]
			}
			return r, r.result != ""
		}
	}
	return reason{}, false
}

// pathFault is the meaning of a fault; %s stands for the certificate.
func pathFault(fault string) reason {
	switch fault {
	case "trusted":
		return passed("%s来源可信，用途正确。", "%s is trusted and meant for this use.")
	case trustedOtherUsage:
		return passed("%s写明的是别的用途，因为这张证书本身列在信任锚里而予以采信。请确认列入是有意为之。",
			"%s states another use, and is trusted because the certificate itself is among the trust anchors. Make sure that it was put there for this.")
	case "untrusted":
		return indeterminate(NoCertificateChainFound, "%s不是由这里信任的机构签发的，无法确认身份。请在颁发机构的平台上查验，或向颁发机构核实；用离线工具的，请先换用颁发机构公布的最新证书文件。",
			"%s does not come from an authority trusted here. Verify on the issuing authority's platform, or ask it; with an offline tool, first fetch the newest certificate file that the authority publishes.")
	case "chain_broken":
		return indeterminate(CertificateChainGeneralFailure, "%s自称由这里信任的机构签发，但核对不上，不是那家机构签发的。"+askZH,
			"%s claims to come from an authority trusted here, which did not issue it. "+askEN)
	case "wrong_usage":
		return failed(ChainConstraintsFailure, "%s不能用于这个用途。"+askZH, "%s is not meant for this use. "+askEN)
	case "algorithm":
		return indeterminate(CryptoConstraintsFailure, "%s没有采用国家规定的密码标准，这里不认可。请向颁发机构核实。", "%s does not follow the national standards of cryptography and is not accepted here. Ask the issuing authority.")
	case "not_yet_valid":
		return failed(NotYetValid, "签署时%s还没有生效。"+askZH, "%s was not yet valid at the time of signing. "+askEN)
	case "expired":
		return failed(Expired, "签署时%s已经过期。"+askZH, "%s had expired at the time of signing. "+askEN)
	case "revoked":
		return failed(Revoked, "签署时%s已经被吊销。"+askZH, "%s had been revoked at the time of signing. "+askEN)
	case "outside_validity_no_poe":
		return indeterminate(OutOfBoundsNoPOE, "%s现在不在有效期内，又没有时间戳证明是在有效期内签署的。请改用带时间戳的文件，或向颁发机构核实。",
			"%s is outside its validity now, and no timestamp proves that it signed within. Use the file with a timestamp, or ask the issuing authority.")
	case "revoked_no_poe":
		return indeterminate(RevokedNoPOE, "%s现在已被吊销，又没有证据证明是在吊销之前签署的。请改用带时间戳的文件，或向颁发机构核实。",
			"%s is revoked now, and nothing proves that it signed before. Use the file with a timestamp, or ask the issuing authority.")
	case "revocation_unknown":
		return indeterminate(TryLater, "查不到%s现在是否被吊销。请稍后重试，或在颁发机构的平台上查验；用离线工具的，请先换用最新的证书文件。",
			"It is not known whether %s is revoked now. Try again later, or verify on the issuing authority's platform; with an offline tool, first fetch the newest certificate file.")
	}
	return reason{}
}
