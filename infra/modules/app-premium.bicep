// The function app on a Premium plan: for regions without Flex Consumption, as Azure Government is. An instance is always
// warm. The program is run from a blob that the app reads as itself, since a content share would want an account key.
// Its settings are another step (app-settings), because they hold the app's own address.

@description('Required. The region.')
param location string

@description('Required. The app\'s name.')
param name string

@description('Required. The resource id of its plan.')
param planId string

@description('Required. The resource id of its identity.')
param identityId string

@description('Required. The subnet, delegated to Microsoft.Web/serverFarms.')
param subnetId string

@description('Optional. Whether instances stand in several zones; three are then always running and billed.')
param zoneRedundant bool = true

@description('Required. Tags.')
param tags object

resource app 'Microsoft.Web/sites@2024-11-01' = {
  //checkov:skip=CKV_AZURE_17:vendors have no client certificates; each is verified by its own rule
  //checkov:skip=CKV_AZURE_212:an instance more is a question of cost, and zoneRedundant answers it
  //checkov:skip=CKV_AZURE_222:vendors call in from the internet
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: planId
    reserved: true
    httpsOnly: true
    // Vendors call in from the internet; who they are is verified by each vendor's own rule.
    publicNetworkAccess: 'Enabled'
    clientCertEnabled: false
    clientAffinityEnabled: false
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: subnetId
    outboundVnetRouting: { allTraffic: true }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      remoteDebuggingEnabled: false
      use32BitWorkerProcess: false
      healthCheckPath: '/api/health'
      functionsRuntimeScaleMonitoringEnabled: true
      minimumElasticInstanceCount: zoneRedundant ? 3 : 1
      // Access logs hold addresses, and addresses of webhooks and links are secrets.
      httpLoggingEnabled: false
      requestTracingEnabled: false
      detailedErrorLoggingEnabled: false
      cors: { allowedOrigins: [], supportCredentials: false }
    }
  }
}
