// The function app on Flex Consumption: from nothing to many instances and back, each joined to the virtual network.
// Its settings are another step (app-settings), because they hold the app's own address.

@description('Required. The region; it must offer Flex Consumption.')
param location string

@description('Required. The app\'s name.')
param name string

@description('Required. The resource id of its plan.')
param planId string

@description('Required. The resource id of its identity.')
param identityId string

@description('Required. The container that the program is in.')
param packagesUrl string

@description('Required. The subnet, delegated to Microsoft.App/environments.')
param subnetId string

@description('Required. Most instances at once.')
@minValue(40)
@maxValue(1000)
param maxInstances int

@description('Required. Megabytes of memory of an instance.')
@allowed([512, 2048, 4096])
param instanceMemory int

@description('Optional. Whether instances stand in several zones. Two are then always ready and billed of whatever scales by itself: HTTP, each queue, the sweep.')
param zoneRedundant bool = true

@description('Required. Tags.')
param tags object

resource app 'Microsoft.Web/sites@2024-11-01' = {
  //checkov:skip=CKV_AZURE_17:vendors have no client certificates; each is verified by its own rule
  //checkov:skip=CKV_AZURE_212:an instance more is a question of cost, and zoneRedundant answers it
  //checkov:skip=CKV_AZURE_78:Flex Consumption has no FTP and refuses a site that names it; Premium shuts it
  //checkov:skip=CKV_AZURE_213:Flex Consumption has no health check; Premium has one
  //checkov:skip=CKV_AZURE_222:vendors call in from the internet
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    serverFarmId: planId
    httpsOnly: true
    // Vendors call in from the internet; who they are is verified by each vendor's own rule.
    publicNetworkAccess: 'Enabled'
    clientCertEnabled: false
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packagesUrl
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
        }
      }
      runtime: { name: 'custom', version: '1.0' }
      scaleAndConcurrency: {
        maximumInstanceCount: maxInstances
        instanceMemoryMB: instanceMemory
        alwaysReady: zoneRedundant ? [{ name: 'http', instanceCount: 2 }] : []
        triggers: { http: { perInstanceConcurrency: 32 } }
      }
    }
    // No ftpsState: Flex has no FTP, and refuses a site that names it (ARM 51021).
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      remoteDebuggingEnabled: false
      // Access logs hold addresses, and addresses of webhooks and links are secrets.
      httpLoggingEnabled: false
      requestTracingEnabled: false
      detailedErrorLoggingEnabled: false
      cors: { allowedOrigins: [], supportCredentials: false }
    }
  }
}
