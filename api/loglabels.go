package api

import (
	"strings"

	"elicence/audit"
	"elicence/licence"
	"elicence/licence/registry"
)

// actionLabels name to people what was done; the last lines are actions of the program's
// commands, by their names in the log.
var actionLabels = map[audit.Action]string{
	registry.ActionIssue: "申请签发", registry.ActionReserve: "签发：登记编号", registry.ActionSeal: "签发：加盖印章", registry.ActionIssued: "签发完成",
	registry.ActionVoid: "编号作废", registry.ActionTimestamp: "补加时间戳", registry.ActionRead: "查看证照", registry.ActionDownload: "下载证照文件",
	registry.ActionBundle: "下载证据包", registry.ActionSearch: "查询证照", registry.ActionReuse: "用证", registry.ActionAsk: "核验（是或否）", registry.ActionCopy: "申请加注件", registry.ActionCopySeal: "加注件：加盖加注专用章", registry.ActionCopied: "加注件制成", registry.ActionCopyDownload: "下载加注件", registry.ActionVerify: "查验证照",
	registry.ActionReport: "出具核验报告", registry.ActionReadReport: "比对核验报告", registry.ActionPAdES: "签发：通用格式签名",
	registry.ActionImport: "归集外来证照", registry.ActionReadImport: "查看归集记录", registry.ActionReadRequest: "调取请求签名",
	registry.ActionSuspend: "暂停", registry.ActionResume: "恢复", registry.ActionRevoke: "吊销",
	registry.ActionWithdraw: "撤销", registry.ActionCancel: "注销", registry.ActionAmend: "变更", registry.ActionRenew: "延续", registry.ActionReissue: "补发、换发",
	registry.ActionCorrect: "更正", registry.ActionTransfer: "转让", registry.ActionSupersede: "被新版本替代", registry.ActionExpired: "有效期届满", registry.ActionHistory: "查看版本记录",
	registry.ActionBatch: "提交批量签发", registry.ActionBatchRead: "查看批量签发", registry.ActionBatchCancel: "取消批量签发", registry.ActionStatistics: "查看统计",
	registry.ActionAuthenticate: "登录", registry.ActionSignOut: "退出登录", registry.ActionCaseOpen: "登记办件", registry.ActionCaseClose: "办结办件",
	registry.ActionDisputeRaise: "提出异议", registry.ActionDisputeWithdraw: "撤回异议", registry.ActionDisputeAccept: "异议：认定属实", registry.ActionDisputeReject: "异议：不予认可",
	registry.ActionDisputeClose: "异议：办结", registry.ActionDisputeRead: "查看异议",
	registry.ActionConsent: "授权", registry.ActionConsentCode: "出示授权码", registry.ActionConsentRevoke: "撤回授权", registry.ActionConsentRead: "查看授权", registry.ActionPresent: "亮证查看",
	registry.ActionGrantRequest: "申请用证授权", registry.ActionGrantApprove: "批准用证授权", registry.ActionGrantWithdraw: "撤回用证授权", registry.ActionGrantRead: "查看用证授权",
	registry.ActionBrake: "用证熔断", registry.ActionBrakeLift: "解除用证熔断", registry.ActionBrakeRead: "查看用证熔断",
	registry.ActionClientAdd: "登记客户端", registry.ActionClientRotate: "更换客户端密钥", registry.ActionClientDisable: "停用客户端", registry.ActionClientRead: "查看客户端",
	registry.ActionPersonAdd: "登记人员", registry.ActionPersonDisable: "停用人员", registry.ActionPersonRead: "查看人员", registry.ActionConfigure: "修改配置",
	registry.ActionCatalogueRead: "查看证照目录", registry.ActionCatalogueImport: "导入证照目录", registry.ActionCataloguePublish: "发布证照目录", registry.ActionCatalogueRetire: "停用证照目录", registry.ActionCataloguePreview: "预览证照版式", registry.ActionCatalogueDryRun: "试运行证照目录",
	registry.ActionSubscribe: "订阅事件", registry.ActionUnsubscribe: "取消订阅", registry.ActionSubscriptionEnable: "恢复订阅", registry.ActionSubscriptionDisable: "订阅停用", registry.ActionSubscriptionRead: "查看订阅", registry.ActionDeadEventsRead: "查看未送达事件", registry.ActionEventReplay: "重发事件",
	registry.ActionSealApply: "申请制章", registry.ActionSealMaking: "制章：签名", registry.ActionSealMake: "制章完成", registry.ActionSealRecord: "印章备案", registry.ActionSealUse: "启用印章", registry.ActionSealSuspend: "停用印章", registry.ActionSealRevoke: "撤销印章", registry.ActionSealDestroy: "销毁印章",
	registry.ActionSealConsent: "同意联合用印", registry.ActionSealConsentEnd: "终止联合用印",
	registry.ActionOwnLog: "查看使用记录", registry.ActionLogRead: "读取访问日志", registry.ActionLogSearch: "查询访问日志", registry.ActionErase: "删除日志中的个人信息", registry.ActionArchive: "日志归档", registry.ActionRemove: "移除已归档日志", registry.ActionRestore: "调回归档日志",
	registry.ActionHold: "暂缓告知", registry.ActionHoldLift: "解除暂缓告知", registry.ActionAltered: "发现数据被改动", registry.ActionTrustList: "发布信任列表", actionAppend: "写入访问日志",
	"rotate_key": "更换密钥", "key_rotated": "密钥已更换", "backup_keys": "备份密钥", "backup_database": "备份数据库",
	"issue_certificate": "签发证书", "install_certificate": "安装证书", "revoke_certificate": "吊销证书",
}

func actionLabel(a audit.Action) string {
	if label, ok := actionLabels[a]; ok {
		return label
	}
	return string(a)
}

// objectLabels name to people what an entry is about, by what stands before the first slash.
var objectLabels = map[string]string{
	"consent": "授权", "consents": "授权记录", "receivers": "可授权的单位", "dispute": "异议", "disputes": "异议记录", "presentation": "亮证",
	"seal": "电子印章", "case": "办件", "copy": "加注件", "grant": "用证授权", "grants": "用证授权", "brake": "用证熔断", "brakes": "用证熔断",
	"client": "客户端", "clients": "客户端", "client_key": "客户端公钥", "person": "人员", "people": "人员", "catalogue": "证照目录", "subscription": "订阅", "subscriptions": "订阅",
	"log": "访问日志", "entry": "日志条目", "checkpoint": "日志检查点", "hold": "暂缓告知", "states": "信任列表", "key": "密钥",
}

// objectLabel says to people what kind of thing an entry names; empty where it says so itself.
func objectLabel(object string) string {
	if _, err := licence.ParseIdentifier(object); err == nil {
		return "证照"
	}
	first, _, _ := strings.Cut(object, "/")
	if label, ok := objectLabels[first]; ok {
		return label
	}
	first, _, _ = strings.Cut(object, " ")
	if licence.CheckTypeCode(first) == nil {
		return "证照类型"
	}
	return ""
}
