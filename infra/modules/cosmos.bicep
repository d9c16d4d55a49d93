// Cosmos DB: the account under the provider's key, the database, its containers, and what the app may do in each of them.
// Its identity has a role on each container and none above. On `audit`, where the logs' entries lie, that role creates and
// reads: whoever takes the app over cannot rewrite what happened.

@description('Required. The region; the account lives in this one only.')
param location string

@description('Required. The account\'s name.')
param name string

@description('Required. The resource id of the identity that unwraps the encryption key.')
param keysIdentityId string

@description('Required. The encryption key, without a version: a new version is taken up by itself.')
param encryptionKeyUri string

@description('Required. The name of the app\'s identity, for stable names of what it is given.')
param identityName string

@description('Required. That identity\'s principal.')
param principalId string

@description('Required. Serverless bills what is used; autoscale up to so many request units a second, for many clients.')
@allowed(['serverless', 'autoscale'])
param capacity string

@description('Required. With autoscale: the most request units a second, shared by the containers.')
param maxThroughput int

@description('Required. How many days back the database can be restored.')
@allowed([7, 30])
param backupDays int

@description('Required. Whether the copies lie in several zones of the region.')
param zoneRedundant bool

@description('Optional. Enabled only where operatorAddresses lets somebody in.')
@allowed(['Disabled', 'Enabled'])
param publicNetworkAccess string = 'Disabled'

@description('Required. Addresses or ranges from which people may reach the account besides; none: nobody, only the app.')
param operatorAddresses array

@description('Required. The workspace that gets the logs.')
param workspaceId string

@description('Required. Tags.')
param tags object

@description('The containers whose records change.')
var recordContainers = ['deployment', 'clients', 'heads']

@description('The container of the logs\' entries, in which nothing changes.')
var entriesContainer = 'audit'

@description('All of them.')
var containers = concat(recordContainers, [entriesContainer])

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-10-15' = {
  name: name
  location: location
  tags: tags
  kind: 'GlobalDocumentDB'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${keysIdentityId}': {} } }
  properties: {
    databaseAccountOfferType: 'Standard'
    // Named, not left to Azure: where the records lie is part of what is promised to a client.
    locations: [{ locationName: location, failoverPriority: 0, isZoneRedundant: zoneRedundant }]
    consistencyPolicy: { defaultConsistencyLevel: 'Session' }
    capabilities: capacity == 'serverless' ? [{ name: 'EnableServerless' }] : []
    enableAutomaticFailover: false
    enableMultipleWriteLocations: false
    keyVaultKeyUri: encryptionKeyUri
    defaultIdentity: 'UserAssignedIdentity=${keysIdentityId}'
    backupPolicy: {
      type: 'Continuous'
      continuousModeProperties: { tier: backupDays == 7 ? 'Continuous7Days' : 'Continuous30Days' }
    }
    disableLocalAuth: true
    disableKeyBasedMetadataWriteAccess: true
    minimalTlsVersion: 'Tls12'
    publicNetworkAccess: publicNetworkAccess
    ipRules: [for address in operatorAddresses: { ipAddressOrRange: address }]
    isVirtualNetworkFilterEnabled: true
    virtualNetworkRules: []
    networkAclBypass: 'None'
    cors: []
  }
}

resource database 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2025-10-15' = {
  parent: account
  name: 'assay'
  tags: tags
  properties: {
    resource: { id: 'assay' }
    options: capacity == 'serverless' ? {} : { autoscaleSettings: { maxThroughput: maxThroughput } }
  }
}

resource container 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2025-10-15' = [
  for containerName in containers: {
    parent: database
    name: containerName
    tags: tags
    properties: {
      resource: {
        id: containerName
        partitionKey: { paths: ['/partition'], kind: 'Hash', version: 2 }
        // What is asked for is a place and a range of ids; the sealed text is never looked into.
        indexingPolicy: {
          indexingMode: 'consistent'
          automatic: true
          includedPaths: [{ path: '/*' }]
          excludedPaths: [{ path: '/body/*' }, { path: '/write/?' }, { path: '/"_etag"/?' }]
        }
      }
    }
  }
]

resource recordsRole 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2025-10-15' = {
  parent: account
  name: guid(account.id, 'records')
  properties: {
    roleName: 'Assay records'
    type: 'CustomRole'
    assignableScopes: [account.id]
    permissions: [
      {
        dataActions: [
          'Microsoft.DocumentDB/databaseAccounts/readMetadata'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/executeQuery'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/create'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/read'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/replace'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/delete'
        ]
      }
    ]
  }
}

resource entriesRole 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2025-10-15' = {
  parent: account
  name: guid(account.id, 'entries')
  properties: {
    roleName: 'Assay log entries'
    type: 'CustomRole'
    assignableScopes: [account.id]
    permissions: [
      {
        dataActions: [
          'Microsoft.DocumentDB/databaseAccounts/readMetadata'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/executeQuery'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/create'
          'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers/items/read'
        ]
      }
    ]
  }
}

resource recordsRights 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-10-15' = [
  for (containerName, i) in recordContainers: {
    parent: account
    name: guid(account.id, identityName, containerName)
    properties: {
      principalId: principalId
      roleDefinitionId: recordsRole.id
      scope: '${account.id}/dbs/assay/colls/${containerName}'
    }
    dependsOn: [container]
  }
]

resource entriesRights 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-10-15' = {
  parent: account
  name: guid(account.id, identityName, entriesContainer)
  properties: {
    principalId: principalId
    roleDefinitionId: entriesRole.id
    scope: '${account.id}/dbs/assay/colls/${entriesContainer}'
  }
  dependsOn: [container]
}

#disable-next-line use-recent-api-versions
resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-workspace'
  scope: account
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    // Not every request: a place and an id say nothing of a client, but they are many and cost much.
    logs: [{ category: 'ControlPlaneRequests', enabled: true }, { category: 'PartitionKeyStatistics', enabled: true }]
    metrics: [{ category: 'Requests', enabled: true }]
  }
}

@description('The account\'s resource id.')
output accountId string = account.id

@description('The account\'s address.')
output endpoint string = account.properties.documentEndpoint
