// A storage account under the provider's key, without shared keys and without a public side. Assay has three: `host` (the
// Functions host's own things and the queues), `packages` (the program), `evidence` (what came in, and the published logs).

@description('Required. The region.')
param location string

@description('Required. The account\'s name.')
param name string

@description('Optional. Standard_ZRS where the region has zones, else Standard_LRS; the geo-redundant ones keep a copy in another region.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param sku string = 'Standard_ZRS'

@description('Required. The resource id of the identity that unwraps the encryption key.')
param keysIdentityId string

@description('Required. The vault of the encryption key.')
param encryptionVaultUri string

@description('Required. The encryption key\'s name.')
param encryptionKeyName string

@description('Required. The blob containers.')
param containers array

@description('Required. The queues.')
param queues array

@description('Required. How many days a deleted blob can be brought back.')
@minValue(1)
@maxValue(365)
param undeleteDays int

@description('Optional. Enabled only where operatorAddresses lets somebody in.')
@allowed(['Disabled', 'Enabled'])
param publicNetworkAccess string = 'Disabled'

@description('Required. Addresses or ranges from which people may reach the account besides; none: nobody, only the app.')
param operatorAddresses array

@description('Required. The workspace that gets the logs.')
param workspaceId string

@description('Required. Tags.')
param tags object

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  //checkov:skip=CKV_AZURE_206:three zones by default; whether a copy may lie in another region is the provider's to say
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${keysIdentityId}': {} } }
  properties: {
    accessTier: 'Hot'
    isHnsEnabled: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowedCopyScope: 'AAD'
    supportsHttpsTrafficOnly: true
    minimumTlsVersion: 'TLS1_2'
    publicNetworkAccess: publicNetworkAccess
    networkAcls: {
      defaultAction: 'Deny'
      // The rule below that takes former versions away runs as one of Azure's trusted services.
      bypass: 'AzureServices'
      ipRules: [for address in operatorAddresses: { value: address, action: 'Allow' }]
      virtualNetworkRules: []
    }
    sasPolicy: { sasExpirationPeriod: '0.01:00:00', expirationAction: 'Block' }
    keyPolicy: { keyExpirationPeriodInDays: 90 }
    encryption: {
      keySource: 'Microsoft.Keyvault'
      keyvaultproperties: { keyvaulturi: encryptionVaultUri, keyname: encryptionKeyName }
      identity: { userAssignedIdentity: keysIdentityId }
      requireInfrastructureEncryption: true
      services: {
        blob: { enabled: true, keyType: 'Account' }
        file: { enabled: true, keyType: 'Account' }
        // Queues and tables are under the provider's key only when that is said at creation.
        queue: { enabled: true, keyType: 'Account' }
        table: { enabled: true, keyType: 'Account' }
      }
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    cors: { corsRules: [] }
    isVersioningEnabled: true
    changeFeed: { enabled: false }
    deleteRetentionPolicy: { enabled: true, days: undeleteDays }
    containerDeleteRetentionPolicy: { enabled: true, days: 7 }
  }
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = [
  for containerName in containers: {
    parent: blobs
    name: containerName
    properties: { publicAccess: 'None' }
  }
]

// What was deleted or replaced would else lie on as a version for good: what a client's end deletes is to be gone.
resource formerVersions 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'former-versions-go'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'] }
            actions: { version: { delete: { daysAfterCreationGreaterThan: 1 } } }
          }
        }
      ]
    }
  }
  dependsOn: [blobs]
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: { cors: { corsRules: [] } }
}

resource queue 'Microsoft.Storage/storageAccounts/queueServices/queues@2025-06-01' = [
  for queueName in queues: {
    parent: queueService
    name: queueName
    properties: { metadata: {} }
  }
]

resource tables 'Microsoft.Storage/storageAccounts/tableServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: { cors: { corsRules: [] } }
}

#disable-next-line use-recent-api-versions
resource blobLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: blobs
  properties: {
    workspaceId: workspaceId
    logs: [
      { category: 'StorageRead', enabled: true }
      { category: 'StorageWrite', enabled: true }
      { category: 'StorageDelete', enabled: true }
    ]
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

#disable-next-line use-recent-api-versions
resource queueLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: queueService
  properties: {
    workspaceId: workspaceId
    // No logs: the host looks into each queue every two seconds, and they would tell of nothing but that.
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

#disable-next-line use-recent-api-versions
resource tableLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: tables
  properties: { workspaceId: workspaceId, metrics: [{ category: 'Transaction', enabled: true }] }
}

@description('The account\'s resource id.')
output accountId string = account.id

@description('The address of its blobs.')
output blobEndpoint string = account.properties.primaryEndpoints.blob

@description('The address of its queues.')
output queueEndpoint string = account.properties.primaryEndpoints.queue

@description('The address of its tables.')
output tableEndpoint string = account.properties.primaryEndpoints.table
