// The settings of the function app, its logs, and that nobody publishes with a password. A step of its own, after the app,
// because its address is one of them: Azure chooses it.

@description('Required. The app.')
param appName string

@description('Required. What the platform and the host need: differs by hosting.')
param hostSettings object

@description('Required. Assay\'s own settings, without its address.')
param assaySettings object

@description('Required. The address people use; empty: the one that Azure gave.')
param publicUrl string

@description('Required. The workspace that gets the logs.')
param workspaceId string

resource app 'Microsoft.Web/sites@2024-11-01' existing = {
  name: appName
}

resource settings 'Microsoft.Web/sites/config@2024-11-01' = {
  //checkov:skip=CKV_AZURE_63:access logs hold addresses, and those of webhooks and links are secrets
  //checkov:skip=CKV_AZURE_65:error pages on disk hold addresses, as access logs do
  //checkov:skip=CKV_AZURE_66:request traces hold addresses, as access logs do
  //checkov:skip=CKV_AZURE_80:there is no .NET in a custom handler
  //checkov:skip=CKV_AZURE_88:a file share would want an account key
  //checkov:skip=CKV_AZURE_13:sign-in and its checks are Assay's own: a vendor's webhook has no Entra token
  //checkov:skip=CKV_AZURE_222:vendors call in from the internet
  parent: app
  name: 'appsettings'
  properties: union(hostSettings, assaySettings, {
    ASSAY_PUBLIC_URL: empty(publicUrl) ? 'https://${app.properties.defaultHostName}' : publicUrl
  })
}

resource ftp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

resource scm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-11-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

// No AppServiceHTTPLogs: their addresses hold webhooks' secrets and links.
#disable-next-line use-recent-api-versions
resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: app
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'FunctionAppLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

@description('The host name that Azure gave.')
output hostName string = app.properties.defaultHostName
