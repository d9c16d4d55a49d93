// Where the app's own lines and the platform's logs go. No client's content is written there (functions/README.md, Logs);
// request telemetry and access logs, whose addresses would hold webhooks' secrets and links, are off.

@description('Required. The region.')
param location string

@description('Required. The workspace\'s name.')
param workspaceName string

@description('Required. The name of the Application Insights resource.')
param insightsName string

@description('Required. For how many days logs are kept.')
@minValue(30)
@maxValue(730)
param retentionDays int

@description('Required. Whom alerts are mailed to.')
param alertEmail string

@description('Required. The name of the app\'s identity, for stable names of what it is given.')
param identityName string

@description('Required. That identity\'s principal.')
param principalId string

@description('Required. Tags.')
param tags object

@description('Monitoring Metrics Publisher: sends telemetry without a key.')
var publisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    features: { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true }
    publicNetworkAccessForIngestion: 'Enabled'
    publicNetworkAccessForQuery: 'Enabled'
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: insightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    IngestionMode: 'LogAnalytics'
    DisableLocalAuth: true
    DisableIpMasking: false
    publicNetworkAccessForIngestion: 'Enabled'
    publicNetworkAccessForQuery: 'Enabled'
  }
}

resource publisherRights 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, identityName, publisher)
  scope: insights
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', publisher)
  }
}

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: '${insightsName}-people'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'Assay'
    enabled: true
    emailReceivers: [{ name: 'operators', emailAddress: alertEmail, useCommonAlertSchema: true }]
  }
}

// Who looked into the logs is a log too.
#disable-next-line use-recent-api-versions
resource workspaceLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: workspace
  properties: {
    workspaceId: workspace.id
    logs: [{ category: 'Audit', enabled: true }]
  }
}

@description('The workspace.')
output workspaceId string = workspace.id

@description('The Application Insights resource.')
output insightsId string = insights.id

@description('Where telemetry is sent. It names an ingestion address and is no key: local sign-in is off.')
output connectionString string = insights.properties.ConnectionString

@description('Whom alerts are told to.')
output peopleId string = people.id
