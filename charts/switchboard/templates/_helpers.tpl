{{/* The operator's objects are named after the release. */}}
{{- define "switchboard.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels that never change, for selectors. */}}
{{- define "switchboard.selector" -}}
app.kubernetes.io/name: switchboard-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of every object of the chart. Not managed-by: switchboard-operator, which marks what the operator makes. */}}
{{- define "switchboard.labels" -}}
{{ include "switchboard.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: switchboard
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "switchboard.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "switchboard.name" .) -}}
{{- end -}}

{{/* What the operator may do with a BrokerCluster's objects; everywhere, or in the one namespace that it watches. */}}
{{- define "switchboard.rules" -}}
- apiGroups: [switchboard.dev]
  resources: [brokerclusters]
  verbs: [get, list, watch]
- apiGroups: [switchboard.dev]
  resources: [brokerclusters/status]
  verbs: [patch]
# To be named as the owner of what it makes.
- apiGroups: [switchboard.dev]
  resources: [brokerclusters/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, configmaps, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
# Listed and watched as metadata only; read are those that a BrokerCluster names or that were made for it.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
