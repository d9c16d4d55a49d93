// What the app may do in the three storage accounts. In `host` what the Functions host needs; in `packages` it reads
// its own program, and on Flex writes it; in `evidence` no more than it does, container by container: copies of
// checkpoints it makes and reads, and cannot replace or delete.

@description('Required. The account of the host and the queues.')
param hostAccountName string

@description('Required. The account of the program.')
param packagesAccountName string

@description('Required. The account of what came in and of the published logs.')
param evidenceAccountName string

@description('Required. Whether the app\'s identity puts its program there, as it does on Flex; else it only reads it.')
param appWritesPackages bool

@description('Required. The containers there in which blobs are written and deleted.')
param containers array

@description('Required. The container there in which they are only made.')
param anchorsContainer string

@description('Required. The name of the app\'s identity, for stable names of what it is given.')
param identityName string

@description('Required. That identity\'s principal.')
param principalId string

@description('What the Functions host needs in its account: Storage Blob Data Owner, Queue Data Contributor, Table Data Contributor.')
var hostRoles = [
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
]

@description('What is needed for the program: on Flex Storage Blob Data Contributor, since the platform puts it there as the app; else Storage Blob Data Reader.')
var packagesRole = appWritesPackages ? 'ba92f5b4-2d11-453d-a403-e96b0029c9fe' : '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'

@description('What data actions on blobs begin with.')
var blobAction = 'Microsoft.Storage/storageAccounts/blobServices/containers/blobs'

resource host 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: hostAccountName
}

resource packages 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: packagesAccountName
}

resource evidence 'Microsoft.Storage/storageAccounts@2025-06-01' existing = {
  name: evidenceAccountName

  resource blobs 'blobServices' existing = {
    name: 'default'
  }
}

resource written 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' existing = [
  for containerName in containers: {
    parent: evidence::blobs
    name: containerName
  }
]

resource anchors 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' existing = {
  parent: evidence::blobs
  name: anchorsContainer
}

resource hostRights 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in hostRoles: {
    name: guid(host.id, identityName, role)
    scope: host
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]

resource packagesRights 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(packages.id, identityName, packagesRole)
  scope: packages
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', packagesRole)
  }
}

resource blobsRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(evidence.id, 'blobs')
  properties: {
    roleName: 'Assay blobs ${evidenceAccountName}'
    description: 'Reads, writes and deletes blobs, and looks what a container is. Makes and deletes no container.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: ['Microsoft.Storage/storageAccounts/blobServices/containers/read']
        notActions: []
        dataActions: ['${blobAction}/read', '${blobAction}/write', '${blobAction}/add/action', '${blobAction}/delete']
        notDataActions: []
      }
    ]
  }
}

resource anchorsRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(evidence.id, 'anchors')
  properties: {
    roleName: 'Assay anchors ${evidenceAccountName}'
    description: 'Makes blobs where there are none, and reads them. Replaces and deletes none.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: ['Microsoft.Storage/storageAccounts/blobServices/containers/read']
        notActions: []
        dataActions: ['${blobAction}/read', '${blobAction}/add/action']
        notDataActions: []
      }
    ]
  }
}

resource blobsRights 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (containerName, i) in containers: {
    name: guid(written[i].id, identityName, 'blobs')
    scope: written[i]
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: blobsRole.id
    }
  }
]

resource anchorsRights 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(anchors.id, identityName, 'anchors')
  scope: anchors
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: anchorsRole.id
  }
}
